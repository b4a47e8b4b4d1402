from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from zoo_pipeline.trajectories.linkage import minimum_spanning_edges
from zoo_pipeline.trajectories.ordering import (
    IMPROVED_UP_TO,
    euclidean_distances,
    order_along_path,
    shortened,
    shortest_path,
)


def path_length(distances, path):
    return distances[path[1:], path[:-1]].sum()


def test_distances_equal_scipys_also_far_from_the_origin():
    points = 1e6 + np.random.default_rng(0).standard_normal((30, 5))
    np.testing.assert_allclose(euclidean_distances(points), squareform(pdist(points)), rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_shuffled_smooth_path_is_recovered_up_to_reversal(seed):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 3, 40))
    path = np.stack([np.cos(t), np.sin(t), t, t**2], axis=1)
    rows = rng.permutation(40)
    found = rows[order_along_path(path[rows])]
    assert found.tolist() in (list(range(40)), list(range(39, -1, -1)))


def test_a_random_walk_of_a_thousand_steps_is_recovered():
    rng = np.random.default_rng(0)
    path = np.cumsum(rng.standard_normal((1000, 60)), axis=0)
    rows = rng.permutation(1000)
    steps = np.diff(rows[order_along_path(path[rows])])
    assert (steps == steps[0]).all()
    assert abs(steps[0]) == 1


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(3, 7))
def test_finds_the_shortest_path_or_one_that_no_single_move_shortens(seed, m):
    distances = euclidean_distances(np.random.default_rng(seed).standard_normal((m, 2)))
    found = path_length(distances, shortest_path(distances, minimum_spanning_edges(distances)))
    shortest = min(path_length(distances, np.array(path)) for path in permutations(range(m)))
    assert shortest <= found * (1 + 1e-12)
    assert found <= 1.15 * shortest
    if m <= 4:
        assert found == pytest.approx(shortest)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 40))
def test_shortening_keeps_every_point_and_never_lengthens(seed, m):
    rng = np.random.default_rng(seed)
    distances = euclidean_distances(rng.standard_normal((m, 2)))
    path = rng.permutation(m)
    better = shortened(distances, path)
    assert sorted(better) == list(range(m))
    assert path_length(distances, better) <= path_length(distances, path)
    np.testing.assert_array_equal(shortened(distances, better), better)


def test_a_spur_is_inserted_where_it_costs_least():
    points = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [4, 0], [2.2, 0.3]])
    assert order_along_path(points).tolist() == [0, 1, 2, 5, 3, 4]


def test_equal_points_stand_together():
    points = np.array([[0], [5], [1], [5], [2], [0]], float)
    assert points[order_along_path(points), 0].tolist() in ([0, 0, 1, 2, 5, 5], [5, 5, 2, 1, 0, 0])


@pytest.mark.parametrize("m", [0, 1, 2])
def test_few_points_keep_their_order(m):
    assert order_along_path(np.arange(m, dtype=float)[:, None]).tolist() == list(range(m))


def test_more_points_than_are_improved_still_give_a_path_through_all():
    rng = np.random.default_rng(0)
    points = np.sort(rng.uniform(0, 1, IMPROVED_UP_TO + 1))[:, None]
    rows = rng.permutation(len(points))
    steps = np.diff(rows[order_along_path(points[rows])])
    assert (steps == steps[0]).all()
    assert abs(steps[0]) == 1
