import numpy as np
import pytest

from zoo_pipeline.trajectories.branching import branches as branches_module
from zoo_pipeline.trajectories.branching.branches import unfold
from zoo_pipeline.trajectories.ordering import order_along_path

D = 300


def descent(rng, start, first_epoch, epochs, noise=0.02):
    """A noisy walk down a bent valley that every walk shares, float[epochs, D]; steps shrink."""
    pace = 0.85 ** np.arange(first_epoch, first_epoch + epochs)
    drift = np.zeros((epochs, D))
    drift[:, 0], drift[:, 1] = pace, 0.4 * pace * np.linspace(1, -1, epochs)
    return start + np.cumsum(drift + noise * pace[:, None] * rng.standard_normal((epochs, D)), axis=0)


def forked_family(seed):
    """A parent of 16 checkpoints and a child of 8 that continues from checkpoint 6; true predecessors."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((1, D))
    parent = np.concatenate([root, descent(rng, root, 0, 15)])
    child = descent(rng, parent[6], 6, 8)
    before = np.concatenate([np.arange(-1, 15), [6], np.arange(16, 23)])
    return np.concatenate([parent, child]), before


def predecessors(branches, m):
    """Every row's predecessor; also checks that the paths cover all rows once and name their parents consistently."""
    before = np.full(m, -2)
    for number, path in enumerate(branches.paths):
        before[path[0]] = branches.parent_row[number]
        before[path[1:]] = path[:-1]
        if branches.parent_row[number] >= 0:
            assert branches.parent_row[number] in branches.paths[branches.parent_path[number]]
        else:
            assert branches.parent_path[number] == -1
    assert (np.bincount(np.concatenate(branches.paths), minlength=m) == 1).all()
    return before


@pytest.mark.parametrize("seed", range(8))
def test_a_fork_is_found_with_its_parent_and_its_checkpoint(seed):
    points, before = forked_family(seed)
    rows = np.random.default_rng(seed).permutation(len(points))
    place = np.argsort(rows)
    branches = unfold(points[rows], root=int(place[0]))
    found = predecessors(branches, len(points))[place]
    assert np.where(found >= 0, rows[found], -1).tolist() == before.tolist()
    assert branches.oriented
    assert len(branches.paths) == 2


def test_the_root_is_found_by_the_direction_of_the_longest_path():
    points, _ = forked_family(0)
    rows = np.random.default_rng(0).permutation(len(points))
    assert rows[unfold(points[rows]).paths[0][0]] == 0


def test_a_family_that_does_not_branch_is_ordered_as_a_path():
    rng = np.random.default_rng(1)
    points = descent(rng, rng.standard_normal((1, D)), 0, 20)[rng.permutation(20)]
    branches = unfold(points)
    assert [path.tolist() for path in branches.paths] == [order_along_path(points).tolist()]
    assert not branches.oriented
    assert branches.confidence.tolist() == [1.0] * 20


@pytest.mark.parametrize(("m", "noise"), [(120, 0.2), (600, 0.5)])
def test_a_long_run_at_a_plateau_is_one_path(m, noise):
    """Its checkpoints lie around a drift that is smaller than what is between any two of them."""
    rng = np.random.default_rng(m)
    time = np.linspace(0, 1, m)
    drift = np.stack([30 * np.sqrt(time), 10 * time, 5 * time**2], axis=1) @ rng.standard_normal((3, D)) / D**0.5
    assert len(unfold(drift + noise * rng.standard_normal((m, D))).paths) == 1


def test_trajectories_from_one_common_start_are_told_apart():
    rng = np.random.default_rng(2)
    root = rng.standard_normal((1, D))
    models, epochs = 10, 12
    points = np.concatenate([root] + [descent(rng, root, 0, epochs) for _ in range(models)])
    multiplicity = np.ones(len(points), int)
    multiplicity[0] = models
    branches = unfold(points, multiplicity)
    before = predecessors(branches, len(points))
    expected = np.arange(-1, len(points) - 1)
    expected[1::epochs] = 0
    assert before.tolist() == expected.tolist()
    assert branches.paths[0].tolist() == [0]
    assert branches.parent_path.tolist() == [-1] + [0] * models


def test_two_trajectories_from_one_start_are_not_one_path_but_a_repeated_checkpoint_on_the_way_is():
    rng = np.random.default_rng(4)
    root = rng.standard_normal((1, D))
    pair = np.concatenate([root, descent(rng, root, 0, 10, noise=0.2), descent(rng, root, 0, 10, noise=0.2)])
    twice = np.ones(21, int)
    twice[0] = 2
    found = sorted(path.tolist() for path in unfold(pair, twice).paths)
    assert found == [[0], list(range(1, 11)), list(range(11, 21))]
    single = pair[:11]
    twice = np.ones(11, int)
    twice[4] = 2
    assert [path.tolist() for path in unfold(single, twice).paths] == [list(range(11))]


@pytest.mark.parametrize("copied", [1, 30])
def test_a_noisy_run_with_repeated_rows_is_one_path(copied):
    """Settling lengthens its path, which does not make it branch."""
    taken_apart = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        points = np.arange(30)[:, None] * np.eye(1, 200) + 4 * rng.standard_normal((30, 200)) / 200**0.5
        copies = np.ones(30, int)
        copies[rng.permutation(30)[:copied]] = 2
        taken_apart += len(unfold(points, copies).paths) > 1
    assert taken_apart <= 5


def test_rows_equally_far_from_the_root_do_not_break_the_cover():
    points = np.concatenate([np.zeros((1, 4)), np.eye(4)])
    branches = unfold(points, np.array([2, 1, 1, 1, 1]), root=0)
    assert len(branches.paths) == 3
    assert (predecessors(branches, 5)[1:] >= 0).all()


def test_turning_and_shifting_changes_nothing():
    points, _ = forked_family(3)
    rng = np.random.default_rng(3)
    turn, _ = np.linalg.qr(rng.standard_normal((D, D)))
    plain, turned = unfold(points, root=0), unfold(3.0 * points @ turn + 1.0, root=0)
    assert [path.tolist() for path in plain.paths] == [path.tolist() for path in turned.paths]
    np.testing.assert_allclose(plain.confidence, turned.confidence, atol=1e-6)


def test_a_checkpoint_equally_near_to_two_is_not_trusted():
    """Row 3 lies as far beside row 1 as beside row 2: nothing tells which it continues."""
    points = np.array([[0.0, 0, 0], [1.0, 0.8, 0], [1.0, -0.8, 0], [2.0, 0, 1]])
    branches = unfold(points, np.array([2, 1, 1, 1]))
    assert branches.confidence[3] < 0.05


CLOUDS = {
    "formless": lambda rng, m, d: rng.standard_normal((m, d)),
    "on a line": lambda rng, m, d: np.arange(m)[:, None] * np.ones((1, d)),
    "on a lattice": lambda rng, m, d: np.round(rng.standard_normal((m, d))),
    "ever shorter steps": lambda rng, m, d: np.cumsum(
        rng.standard_normal((m, d)) * 0.5 ** np.arange(m)[:, None], axis=0
    ),
    "nearly equal": lambda rng, m, d: 100 + 1e-5 * rng.standard_normal((m, d)),
    "pairs": lambda rng, m, d: np.repeat(rng.standard_normal((m, d)), 2, axis=0)[:m] + 1e-6 * rng.random((m, d)),
    "huge": lambda rng, m, d: 1e18 * rng.standard_normal((m, d)),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("root_known", [False, True])
@pytest.mark.parametrize("cloud", CLOUDS)
def test_whatever_the_points_every_row_has_one_place_in_a_tree(cloud, root_known, monkeypatch):
    monkeypatch.setattr(branches_module, "BELIEVED", -np.inf)  # so that trees are made of all whose points branch
    for seed in range(12):
        rng = np.random.default_rng(seed)
        m, d = int(rng.integers(3, 20)), int(rng.choice([1, 2, 5, 300]))
        points = np.unique(CLOUDS[cloud](rng, m, d).astype(np.float32), axis=0)
        copies = np.ones(len(points), int)
        copies[rng.integers(len(points))] += 2 * root_known
        branches = unfold(points, copies)
        predecessors(branches, len(points))
        assert ((branches.confidence >= 0) & (branches.confidence <= 1)).all()


@pytest.mark.parametrize("m", [0, 1, 2])
def test_families_too_small_to_branch(m):
    branches = unfold(np.arange(2.0 * m).reshape(m, 2))
    assert [path.tolist() for path in branches.paths] == ([list(range(m))] if m else [])
    assert len(branches.parent_row) == len(branches.parent_path) == len(branches.paths)


def test_a_family_too_large_to_unfold_is_one_path_that_nobody_should_trust(monkeypatch):
    points, _ = forked_family(3)
    monkeypatch.setattr(branches_module, "MOST_FORKED_ROWS", len(points) - 1)
    found = unfold(points, root=0)
    assert [sorted(path.tolist()) for path in found.paths] == [list(range(len(points)))]
    assert found.confidence.tolist() == [0] * len(points)
