import numpy as np
import pytest
from scipy.spatial.distance import cdist

from zoo_pipeline.errors import ZooError
from zoo_pipeline.trajectories.distances import cosine_distance_of_pairs, cosine_distances


def test_matches_scipy_across_block_borders():
    weights = np.random.default_rng(0).standard_normal((1500, 7)).astype(np.float32)
    distances = cosine_distances(weights)
    assert distances.dtype == np.float32
    np.testing.assert_allclose(distances, cdist(weights, weights, "cosine"), rtol=1e-6, atol=1e-12)
    np.testing.assert_array_equal(distances, distances.T)
    assert not distances.diagonal().any()


def test_tiny_distances_keep_their_value():
    angle = 1e-5  # 1 − cos = 5e-11, a thousand times below the rounding of float32 at 1
    weights = np.array([[1, 0], [1, angle], [np.sqrt(0.5), np.sqrt(0.5)]], np.float32)
    expected = 1 - np.cos(np.arctan(np.float64(np.float32(angle))))
    assert cosine_distances(weights)[0, 1] == pytest.approx(expected, rel=1e-5)


def test_pairs_keep_their_relative_accuracy_far_below_the_rounding_of_one():
    weights = np.array([[1, 0], [1, 1e-7], [3, 0], [0, -2]], np.float32)
    pairs = cosine_distance_of_pairs(weights, np.array([0, 0, 0, 2]), np.array([1, 2, 3, 2]))
    np.testing.assert_allclose(pairs, [0.5 * float(np.float32(1e-7)) ** 2, 0, 1, 0], rtol=1e-6)


def test_rows_of_zeros_are_unrelated_to_all_but_each_other():
    weights = np.array([[0, 0], [1, 2], [0, 0]], np.float32)
    assert cosine_distances(weights).tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert cosine_distance_of_pairs(weights, np.array([0, 0]), np.array([1, 2])).tolist() == [1, 0]


def test_opposite_rows_are_two_apart():
    assert cosine_distances(np.array([[1, 2], [-2, -4]], np.float32))[0, 1] == pytest.approx(2)


def test_a_bag_past_the_memory_limit_is_refused_in_one_line():
    with pytest.raises(ZooError, match=r"^analysis: .* 101 checkpoints .* at most 100 checkpoints at once$"):
        cosine_distances(np.ones((101, 2), np.float32), memory_limit_bytes=40_000)
    assert cosine_distances(np.ones((100, 2), np.float32), memory_limit_bytes=40_000).shape == (100, 100)
