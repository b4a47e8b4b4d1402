import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.parting import parting
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.ordering import euclidean_distances


def test_a_branch_is_as_far_apart_as_its_last_third_is():
    """A path along x, and one that leaves it at x = 2, straight up, in steps of 2: its last rows are 10 and 12 up."""
    path = [(float(x), 0.0) for x in range(6)]
    branch = [(2.0, 2.0 * y) for y in range(1, 6)] + [(2.0, 12.0)]
    tree = Tree([list(range(6)), list(range(6, 12))], [-1, 0], [-1, 2])
    points = np.array(path + branch)
    assert parting(tree, euclidean_distances(points)) == pytest.approx(np.log(11 / 2))


def test_rows_of_a_path_that_leaves_the_branch_do_not_count():
    points = np.array([(0.0, 0), (1, 0), (2, 0), (1, 3), (1, 6), (1, 9), (1.5, 9)])
    tree = Tree([[0, 1, 2], [3, 4, 5], [6]], [-1, 0, 1], [-1, 1, 5])
    expected = (3 * np.log(9 / 3) + np.log(0.5 / 2)) / 4  # a row alone: against the median of all steps, (1, 1, 3, 3)
    assert parting(tree, euclidean_distances(points)) == pytest.approx(expected)


def test_one_path_has_nothing_to_go_apart_from():
    points = np.random.default_rng(0).standard_normal((5, 3))
    assert parting(Tree([list(range(5))], [-1], [-1]), euclidean_distances(points)) == 0


def test_noise_sorted_into_two_paths_stays_side_by_side_and_branches_do_not():
    rng = np.random.default_rng(1)
    drift = np.arange(40)[:, None] * np.eye(1, 60)
    noise = drift + rng.standard_normal((40, 60))
    sorted_noise = Tree([list(range(0, 40, 2)), list(range(1, 40, 2))], [-1, 0], [-1, 0])
    steps = rng.standard_normal((40, 60)) + np.eye(1, 60)
    parent = steps[:20].cumsum(axis=0)
    apart = np.concatenate([parent, parent[4] + steps[20:].cumsum(axis=0)])
    branches = Tree([list(range(20)), list(range(20, 40))], [-1, 0], [-1, 4])
    assert parting(sorted_noise, euclidean_distances(noise)) < 0.2
    assert parting(branches, euclidean_distances(apart)) > 1


@pytest.mark.parametrize("size", [0.0, 1e-300, 1.0])
def test_rows_that_measure_as_equal_give_a_number(size):
    """As rows do that differ in their last bits: steps of nothing, and branches that end nowhere else."""
    distances = size * np.kron(1 - np.eye(2), np.ones((3, 3)))
    for tree in (Tree([[0, 1, 2], [3, 4, 5]], [-1, 0], [-1, 1]), Tree([[0, 3, 1], [2, 4, 5]], [-1, 0], [-1, 3])):
        assert np.isfinite(parting(tree, distances))
