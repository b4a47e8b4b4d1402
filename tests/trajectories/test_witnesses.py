from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_pipeline.trajectories.linkage import minimum_spanning_edges
from zoo_pipeline.trajectories.ordering import euclidean_distances, order_along_path, shortest_path
from zoo_pipeline.trajectories.witnesses import is_settled, lag_weights, settled

D = 200


def in_noise(seed, m=40, noise=4.0):
    """Points along a line, with noise larger than their steps, float[m, D]."""
    rng = np.random.default_rng(seed)
    return np.arange(m)[:, None] * np.eye(1, D) + noise * rng.standard_normal((m, D)) / D**0.5


def exchanged(path):
    """How many neighbours of a path run against most of it."""
    steps = np.diff(path)
    return min((steps < 0).sum(), (steps > 0).sum())


def cost(distances, path, weights):
    return sum(
        weight * distances[path[lag:], path[:-lag]].sum() for lag, weight in enumerate(weights, start=1) if weight > 0
    )


def shortest(distances):
    return shortest_path(distances, minimum_spanning_edges(distances))


@pytest.mark.parametrize("noise", [3.0, 4.0, 5.0])
def test_neighbours_that_noise_has_exchanged_are_put_right(noise):
    before = wrong = 0
    for seed in range(20):
        distances = euclidean_distances(in_noise(seed, noise=noise))
        path = shortest(distances)
        before += exchanged(path)
        wrong += exchanged(settled(distances, path))
    assert wrong <= before / 4
    assert before >= 5


def test_the_order_of_points_in_noise_is_the_settled_one_and_not_the_shortest():
    points = [in_noise(seed) for seed in range(20)]
    right = [exchanged(order_along_path(one)) == 0 for one in points]
    right_before = [exchanged(shortest(euclidean_distances(one))) == 0 for one in points]
    assert sum(right) >= sum(right_before) + 5


def test_where_noise_makes_the_tree_branch_points_are_moved_far():
    """Many more orders are better for it than worse."""
    better, worse = 0, 0
    for seed in range(60):
        points = in_noise(seed, m=26, noise=12.0)
        distances = euclidean_distances(points)
        found = order_along_path(points)
        near = settled(distances, shortest(distances))
        weights = lag_weights(distances[np.ix_(found, found)][None])[0]
        before, after = cost(distances, near, weights), cost(distances, found, weights)
        better, worse = better + (after < before * (1 - 1e-9)), worse + (before < after * (1 - 1e-9))
    assert better >= 3 * max(worse, 1)


def test_the_shortest_path_stays_where_distances_do_not_grow_with_the_steps_between():
    """A walk that is pulled back: two steps away is as far as ten."""
    rng = np.random.default_rng(0)
    points = [np.zeros(D)]
    for _ in range(60):
        points.append(0.3 * points[-1] + rng.standard_normal(D))
    distances = euclidean_distances(np.array(points[5:]))
    path = shortest(distances)
    weights = lag_weights(distances[np.ix_(path, path)][None])[0]
    assert weights[0] > 0
    assert weights[2:].max() < 0.1 * weights[0]
    assert settled(distances, path).tolist() == path.tolist()


def test_weights_are_what_distances_grow_from_each_lag_on():
    """Along a line distances are the lags: each grows by one, of which a twentieth is not counted."""
    distances = euclidean_distances(np.arange(30.0)[:, None])
    np.testing.assert_allclose(lag_weights(distances[None])[0], 0.95 * np.arange(12, 0, -1))
    np.testing.assert_allclose(lag_weights(distances[None, :6, :6])[0], 0.95 * np.arange(4, 0, -1))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(0, 30), st.booleans())
def test_every_point_stays_once(seed, m, far):
    rng = np.random.default_rng(seed)
    points = np.cumsum(rng.standard_normal((m, 5)), axis=0) + 2 * rng.standard_normal((m, 5))
    distances = euclidean_distances(points)
    found = settled(distances, rng.permutation(m), far=far)
    assert sorted(found.tolist()) == list(range(m))


@pytest.mark.parametrize("seed", range(5))
def test_a_settled_path_is_the_best_of_all_orders_of_four_neighbours(seed):
    distances = euclidean_distances(in_noise(seed, m=20))
    path = settled(distances, order_along_path(in_noise(seed, m=20)))
    along = distances[np.ix_(path, path)]
    assert is_settled(along[None]).tolist() == [True]
    weights = lag_weights(along[None])[0]
    least = cost(distances, path, weights)
    for start in range(17):
        for order in permutations(range(4)):
            other = path.copy()
            other[start : start + 4] = path[start + np.array(order)]
            assert cost(distances, other, weights) >= least - 1e-9


@pytest.mark.parametrize("m", [4, 5, 13, 14, 30])
def test_it_is_known_of_many_paths_at_once_whether_they_are_settled(m):
    noise = 4.0 if m > 5 else 0.5
    along = np.stack([euclidean_distances(in_noise(seed, m=m, noise=noise)) for seed in range(24)])  # in true order
    rolled = np.roll(np.arange(m), 1)
    along[::6] = along[::6][:, rolled][:, :, rolled]
    expected = [settled(distances, np.arange(m)).tolist() == list(range(m)) for distances in along]
    assert is_settled(along).tolist() == expected
    assert len(set(expected)) == 2


@pytest.mark.parametrize("seed", range(5))
def test_stretches_and_points_that_are_out_of_place_find_back(seed):
    points = in_noise(seed, m=30, noise=1.0)
    distances = euclidean_distances(points)
    whole = np.arange(30)
    turned = np.concatenate([whole[:9], whole[9:20][::-1], whole[20:]])
    moved = np.insert(np.delete(whole, [4, 5]), 13, [5, 4])
    at_the_end = np.concatenate([whole[:18], whole[18:][::-1]])
    for path in (turned, moved, at_the_end, np.roll(whole, 2)):
        assert settled(distances, path, far=True).tolist() == whole.tolist()


def test_points_that_are_equal_stay_as_they_are():
    assert settled(np.zeros((6, 6)), np.array([3, 1, 4, 0, 5, 2])).tolist() == [3, 1, 4, 0, 5, 2]
    assert is_settled(np.zeros((2, 6, 6))).tolist() == [True, True]
