import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.belief import BELIEVED, branching_odds, goes_two_ways, measure_belief
from zoo_pipeline.trajectories.branching.branches import unfold
from zoo_pipeline.trajectories.branching.smoothness import Smoothness
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


def measured_fork(tree=None):
    points = one_fork(0, 30, 15)
    tree = tree or Tree([list(range(30)), list(range(30, 44))], [-1, 0], [-1, 15])
    order, distances = order_along_path(points), euclidean_distances(points)
    return measure_belief(tree, order, distances, Smoothness(points, 0))


def test_a_tree_that_goes_apart_is_believed_and_one_side_by_side_is_not():
    true = measured_fork()
    assert branching_odds(true) > BELIEVED
    side_by_side = measured_fork(Tree([list(range(0, 44, 2)), list(range(1, 44, 2))], [-1, 0], [-1, 0]))
    assert side_by_side["apart"] < true["apart"]
    assert side_by_side["gain_per_row"] == 0
    assert branching_odds(side_by_side) == -np.inf


def test_odds_grow_with_gain_distance_and_jump_and_fall_with_strain_and_return():
    true = measured_fork()
    ways = {"apart": -1, "gain_per_row": -1, "gain_per_branch": -1, "jump": -1, "strain_left": 1, "return": 1}
    for name, way in ways.items():
        assert branching_odds(true | {name: true[name] + 0.05 * way}) < branching_odds(true), name


def test_a_branch_returns_as_far_as_its_end_is_nearer_than_its_farthest_row():
    points = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [1, 1, 0], [1, 3, 0], [1, 4, 0], [1, 3, 1], [1, 1, 1]], float)
    tree = Tree([[0, 1, 2], [3, 4, 5, 6, 7]], [-1, 0], [-1, 1])
    measured = measure_belief(tree, np.arange(8), euclidean_distances(points), Smoothness(points, 0))
    assert measured["return"] == pytest.approx(1 - 2**0.5 / 4)
    assert measured_fork()["return"] < 0.05


def test_gain_and_strain_are_what_rows_cost_on_the_path_and_elsewhere():
    points = one_fork(0, 30, 15)
    tree = Tree([list(range(30)), list(range(30, 44))], [-1, 0], [-1, 15])
    smoothness, order = Smoothness(points, 0), order_along_path(points)
    on_path = smoothness.of(order[1:-1], order[:-2], order[2:])
    best = [smoothness.of_pairs(row, np.flatnonzero(smoothness.near[row])).min() for row in order[1:-1]]
    ends = smoothness.of(order[[0, -1]], np.array([-1, order[-2]]), np.array([order[1], -1]))
    gain = on_path.sum() + ends.sum() - smoothness.of_tree(tree)
    measured = measured_fork()
    assert measured["strain_left"] == pytest.approx(np.mean(on_path - best) - gain / 44)
    assert measured["gain_per_row"] == pytest.approx(gain / 44)
    assert measured["gain_per_branch"] == pytest.approx(np.log(gain))


def test_rows_that_lie_on_each_other_still_have_odds():
    """Steps of length 0, beside which nothing is a jump."""
    points = np.zeros((6, 3))
    points[3:] = [[1, 0, 0], [2, 0, 0], [3, 0, 0]]
    tree = Tree([[0, 1, 2], [3, 4, 5]], [-1, 0], [-1, 1])
    order = np.array([0, 3, 1, 4, 2, 5])
    measured = measure_belief(tree, order, euclidean_distances(points), Smoothness(points, 0))
    assert measured["gain_per_row"] > 0
    assert np.isfinite(branching_odds(measured))


@pytest.mark.parametrize(
    ("tree", "two_ways"),
    [
        (Tree([[0, 1, 2, 3, 4], [5, 6, 7]], [-1, 0], [-1, 1]), True),
        (Tree([[0, 1, 2, 3], [5, 6, 7, 4]], [-1, 0], [-1, 1]), False),  # two rows go on
        (Tree([[0, 1, 2, 3, 4, 5], [6, 7]], [-1, 0], [-1, 1]), False),  # two rows leave
        (Tree([[0, 1, 2], [3, 4], [5, 6, 7, 8]], [-1, 0, 1], [-1, 0, 3]), False),
        (Tree([[0, 1, 2, 9], [3, 4], [5, 6, 7, 8]], [-1, 0, 1], [-1, 0, 3]), True),  # three, and four by way of 3
        (Tree([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [-1, 0, 0], [-1, 2, 2]), True),
    ],
)
def test_two_ways_of_three_rows_have_to_part_somewhere(tree, two_ways):
    assert goes_two_ways(tree) == two_ways


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_a_fork_that_ends_at_once_is_no_tree_and_lowers_the_confidence(seed):
    """Noise at an end looks like it, too; what is said is how likely a single path is."""
    points = one_fork(seed, 40, 20)
    assert len(unfold(points).paths) > 1
    short = unfold(points[:42])
    assert len(short.paths) == 1
    assert short.confidence.max() < 1
