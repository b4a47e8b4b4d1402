import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.belief import BELIEVED, branching_odds
from zoo_pipeline.trajectories.branching.branches import unfold
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.ordering import euclidean_distances, order_along_path

D = 300


def walk(random, start, steps):
    return start + (random.standard_normal((steps, D)) / D**0.5).cumsum(axis=0)


def one_fork(seed, length, at):
    """A random walk, and another that leaves it at a row."""
    random = np.random.default_rng(seed)
    parent = walk(random, np.zeros(D), length)
    return np.concatenate([parent, walk(random, parent[at], length - at - 1)])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("length", "at"), [(30, 15), (60, 30), (20, 8)])
def test_one_fork_of_one_walk_is_found(seed, length, at):
    """The smallest tree there is: nothing but two paths, of few rows."""
    points = one_fork(seed, length, at)
    shuffled = np.random.default_rng(seed).permutation(len(points))
    branches = unfold(points[shuffled])
    assert len(branches.paths) > 1
    # Without drift nothing says which of the three arms came first: their rows are together, whichever way they join.
    arms = [set(range(at + 1)), set(range(at + 1, length)), set(range(length, len(points)))]
    found = [set(shuffled[path].tolist()) for path in branches.paths]
    assert sum(len(arm & path) >= len(arm) - 2 for arm in arms for path in found) == len(arms)


@pytest.mark.parametrize("seed", range(5))
def test_one_walk_is_one_path_and_says_how_surely(seed):
    branches = unfold(walk(np.random.default_rng(seed), np.zeros(D), 40))
    assert len(branches.paths) == 1
    assert branches.confidence.min() > 0.5


def test_odds_grow_with_what_a_tree_gains_and_with_how_far_it_goes_apart():
    points = one_fork(0, 30, 15)
    tree = Tree([list(range(30)), list(range(30, 44))], [-1, 0], [-1, 15])
    order, distances = order_along_path(points), euclidean_distances(points)
    odds = [branching_odds(tree, order, distances, gain) for gain in (-5.0, 0.5, 2.0, 4.0)]
    assert odds == sorted(odds)
    assert odds[0] < BELIEVED < odds[-1]
    side_by_side = Tree([list(range(0, 44, 2)), list(range(1, 44, 2))], [-1, 0], [-1, 0])
    assert branching_odds(side_by_side, order, distances, 4.0) < odds[-1]


def test_a_tree_of_one_path_is_never_believed():
    points = walk(np.random.default_rng(0), np.zeros(D), 5)
    assert (
        branching_odds(Tree([[0, 1, 2, 3, 4]], [-1], [-1]), np.arange(5), euclidean_distances(points), 9.0) == -np.inf
    )


def test_equal_rows_do_not_break_it():
    points = np.zeros((6, 3))
    tree = Tree([[0, 1, 2, 3], [4, 5]], [-1, 0], [-1, 1])
    assert np.isfinite(branching_odds(tree, np.arange(6), euclidean_distances(points), 1.0))
