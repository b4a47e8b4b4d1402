"""Both modes on 20,000 real checkpoints: six trained trajectories and copies of them with renumbered hidden units."""

import numpy as np
import pytest

from benchmarks.renumbered import renumbered
from zoo_pipeline.trajectories import recover_exactly, recover_in_shares

ROWS, SHARES = 20_000, 9


@pytest.fixture(scope="module")
def many(trained_zoo):
    """Weights and the models they are of, shuffled; each copy of the zoo has its own numbers of hidden units.

    Copies of one network that share many of their 16 numbers would be related, and rightly so; none share more than 4.
    """
    rng = np.random.default_rng(0)
    copies = -(-ROWS // len(trained_zoo.weights))
    chosen = np.empty((0, trained_zoo.layout.dimension), np.int64)
    while len(chosen) < copies:
        columns = renumbered(trained_zoo.layout, rng)
        if ((chosen == columns)[:, : 16 * 64 : 64].sum(axis=1) <= 4).all():
            chosen = np.concatenate([chosen, columns[None]])
    weights = np.concatenate([trained_zoo.weights[:, columns] for columns in chosen])
    model = np.concatenate([copy * 6 + trained_zoo.model_id for copy in range(copies)])
    order = rng.permutation(len(weights))[:ROWS]
    return weights[order], model[order]


def first_rows(labels):
    """Labels that are the same for equal partitions: of each row, the first row beside it."""
    _, first, number = np.unique(labels, return_index=True, return_inverse=True)
    return first[number]


@pytest.mark.long
def test_the_exact_and_the_approximate_mode_agree_on_20_000_rows(trained_zoo, many):
    weights, model = many
    parts = np.array_split(weights, SHARES)
    found, geometry = recover_in_shares(lambda share: iter([parts[share]]), SHARES, trained_zoo.layout)
    exact, described = recover_exactly(weights, trained_zoo.layout)
    assert len(exact.length) == len(np.unique(model)) > 1_500
    np.testing.assert_array_equal(first_rows(exact.trajectory), first_rows(model))
    np.testing.assert_array_equal(first_rows(found.trajectory), first_rows(model))
    np.testing.assert_array_equal(found.position, exact.position)
    np.testing.assert_array_equal(found.progress, exact.progress)
    assert found.threshold == exact.threshold
    assert found.cut == pytest.approx(exact.cut, rel=1e-6)
    for name in ("step_length", "turning_angle", "curvature", "arc_length", "displacement"):
        np.testing.assert_allclose(getattr(geometry, name), getattr(described, name), err_msg=name)
    # Strangers are sought in a row's bucket, which are fewer, and so are a little farther.
    assert (found.confidence >= exact.confidence - 1e-6).all()
    assert np.abs(found.confidence - exact.confidence).max() < 0.1
