from itertools import product

import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.smoothness import END, Smoothness
from zoo_pipeline.trajectories.branching.tree import Tree

TURN = 0.8


@pytest.fixture(scope="module")
def family():
    """Thirty rows that drift one way, with noise; a tree of them."""
    rng = np.random.default_rng(0)
    rows = np.arange(30)[:, None] * np.eye(1, 12) + rng.standard_normal((30, 12))
    return rows, Tree([list(range(20)), list(range(20, 28)), [28], [29]], [-1, 0, 1, 0], [-1, 8, 22, 19])


def test_between_two_rows_counts_how_far_they_lie_beside_it_where_nothing_drifts():
    """Thirty points of one sphere: equally far from the root, so that they head nowhere."""
    sphere = [point for point in product(range(-5, 6), repeat=3) if sum(x * x for x in point) == 25]
    rows = np.array([(0, 0, 0), *sphere], float)
    smoothness = Smoothness(rows, 0)
    rows_asked, before, after = np.array([5, 9, 12]), np.array([1, 20, 30]), np.array([7, 3, 2])
    lengths = [np.linalg.norm(rows[others] - rows[rows_asked], axis=1) for others in (before, after)]
    found = smoothness.of(rows_asked, before, after)
    np.testing.assert_allclose(found, 0.5 * np.log(lengths[0] * lengths[1]))


def test_along_the_drift_counts_how_much_the_steps_differ():
    rows = np.array([0.0, 1, 4, 6, 11, 13, 20])[:, None] * np.array([[0.6, 0.8]])
    smoothness = Smoothness(rows, 0)
    found = smoothness.of(np.array([1, 2, 3, 3]), np.array([0, 1, 4, 2]), np.array([2, 4, 6, 0]))
    # Steps of 1 and 3, of 3 and 7; then both neighbours after the row, 5 and 14 away, and both before it, 2 and 6.
    np.testing.assert_allclose(found, [np.log(2), np.log(4), np.log(19) + TURN, np.log(8) + TURN])


def test_an_end_is_a_mirror_image_with_a_fifth_of_the_drift_and_a_row_alone_two_ends_beside_its_nearest():
    rows = np.array([0.0, 1, 4, 6, 11])[:, None] * np.array([[0.6, 0.8]])
    smoothness = Smoothness(rows, 0)
    found = smoothness.of(np.array([0, 4, 2]), np.array([-1, 3, -1]), np.array([1, -1, -1]))
    np.testing.assert_allclose(found, [np.log(0.2) + END, np.log(0.2 * 5) + END, np.log(0.2 * 2) + 2 * END])


def test_a_row_exactly_between_two_costs_the_least_there_is_a_millionth_of_the_longest_way():
    rows = np.array([0.0, 1, 2, 3])[:, None] * np.array([[6.0, 8.0]])
    found = Smoothness(rows, 0).of(np.array([1]), np.array([0]), np.array([2]))
    np.testing.assert_allclose(found, np.log(1e-6 * 30))


def test_pairs_cost_what_each_of_them_costs(family):
    rows, _ = family
    smoothness = Smoothness(rows, 3)
    beside = np.array([0, 4, 9, 17, 29])
    pairs = smoothness.of_pairs(6, beside)
    one, other = np.triu_indices(5, 1)
    np.testing.assert_allclose(pairs[one, other], smoothness.of(np.full(10, 6), beside[one], beside[other]))
    np.testing.assert_array_equal(pairs, pairs.T)
    assert np.isinf(np.diag(pairs)).all()


def test_a_row_between_its_true_neighbours_costs_least():
    """Two random walks down one valley: the nearest row is that of the same epoch on the other."""
    rng = np.random.default_rng(1)
    rows = np.concatenate([np.cumsum(np.eye(1, 400) + 0.01 * rng.standard_normal((12, 400)), axis=0) for _ in "ab"])
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2) + np.diag([np.inf] * 24)
    assert distances.argmin(axis=1).tolist() == [*range(12, 24), *range(12)]
    smoothness = Smoothness(rows, 0)
    for row in [*range(1, 11), *range(13, 23)]:
        beside = np.delete(np.arange(24), row)
        pair = np.unravel_index(smoothness.of_pairs(row, beside).argmin(), (23, 23))
        assert sorted(beside[list(pair)]) == [row - 1, row + 1]


def test_a_tree_costs_the_sum_over_its_rows_each_branch_beginning_at_the_row_it_left(family):
    rows, tree = family
    smoothness = Smoothness(rows, 0)
    expected = 0.0
    for path, left in zip(tree.paths, tree.parent_row, strict=True):
        chain = [left, *path, -1]
        for older, row, later in zip(chain, chain[1:], chain[2:], strict=False):
            expected += float(smoothness.of(np.array([row]), np.array([older]), np.array([later]))[0])
    assert smoothness.of_tree(tree) == pytest.approx(expected)


def test_scaling_adds_its_logarithm_to_every_row_and_turning_and_shifting_nothing(family):
    rows, tree = family
    turn, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((12, 12)))
    before, after = tree.links(30)
    before[28] = -1  # alone
    plain = Smoothness(rows, 0).of(np.arange(30), before, after)
    moved = Smoothness(5.0 * rows @ turn + 3.0, 0).of(np.arange(30), before, after)
    np.testing.assert_allclose(moved - plain, np.log(5), atol=1e-9)


def test_rows_are_near_when_one_is_among_the_twenty_nearest_of_the_other():
    rows = np.random.default_rng(3).standard_normal((60, 5))
    near = Smoothness(rows, 0).near
    ranks = [
        sorted(set(range(60)) - {row}, key=lambda other: np.linalg.norm(rows[other] - rows[row]))[:20]
        for row in range(60)
    ]
    expected = [[one in ranks[other] or other in ranks[one] for other in range(60)] for one in range(60)]
    np.testing.assert_array_equal(near, expected)
