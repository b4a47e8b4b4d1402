import numpy as np
import pytest

from zoo_pipeline.trajectories.ordering import order_along_path
from zoo_pipeline.trajectories.straight import straight_paths


def families_of(lengths, scatter, seed):
    """Families along curves, whose points are scattered beside them."""
    rng = np.random.default_rng(seed)
    families, rows = [], []
    for length in lengths:
        along = np.cumsum(rng.uniform(0.5, 1.5, length))[rng.permutation(length)]
        curve = np.stack([along, np.cos(along / 5), 0.1 * np.ones(length), np.sin(along / 7)], axis=1)
        families.append(np.arange(length) + sum(map(len, families)))
        rows.append(curve + scatter * rng.standard_normal(curve.shape))
    return np.concatenate(rows).astype(np.float32), families


@pytest.mark.parametrize("scatter", [0, 0.05, 0.3, 3])
def test_many_families_are_ordered_as_each_alone(scatter):
    weights, families = families_of([1, 2, 3, 3, 4, 5, 12, 12, 12, 30, 30, 30, 30], scatter, 0)
    found = straight_paths(weights, families)
    assert any(path is not None for path in found) or scatter == 3
    for family, path in zip(families, found, strict=True):
        if path is not None:
            assert path.tolist() == family[order_along_path(weights[family])].tolist()


def test_clean_paths_are_straight_and_a_star_is_not():
    clean, families = families_of([9] * 20, 0, 1)
    assert all(path is not None for path in straight_paths(clean, families))
    star = np.concatenate([np.zeros((1, 4)), np.eye(4)]).astype(np.float32)  # its tree has four ends
    assert straight_paths(star, [np.arange(5)]) == [None]


def test_families_whose_shortest_path_is_not_settled_are_left_to_be_ordered_alone(monkeypatch):
    rng = np.random.default_rng(0)
    families = [np.arange(12) + 12 * number for number in range(300)]
    lines = [np.arange(12)[:, None] * np.eye(1, 60) + 1.7 * rng.standard_normal((12, 60)) / 60**0.5 for _ in families]
    weights = np.concatenate(lines).astype(np.float32)
    orders = [family[order_along_path(weights[family])].tolist() for family in families]
    found = straight_paths(weights, families)
    assert all(path is None or path.tolist() == order for path, order in zip(found, orders, strict=True))
    assert sum(path is not None for path in found) > 20
    monkeypatch.setattr("zoo_pipeline.trajectories.straight.is_settled", lambda along: np.ones(len(along), bool))
    wrong = straight_paths(weights, families)
    assert any(path is not None and path.tolist() != order for path, order in zip(wrong, orders, strict=True))
