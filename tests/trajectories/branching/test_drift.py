import numpy as np
from scipy.spatial.distance import pdist, squareform

from zoo_pipeline.trajectories.branching.drift import drift_free_squares, isometric_coordinates


def test_coordinates_keep_all_distances():
    points = np.random.default_rng(0).standard_normal((12, 50))
    coordinates = isometric_coordinates(points)
    assert coordinates.shape == (12, 12)
    np.testing.assert_allclose(pdist(coordinates), pdist(points))


def test_a_straight_drift_counts_a_twenty_fifth_and_what_lies_beside_it_in_full():
    along = np.linspace(0, 1, 30)
    points = np.stack([np.tile(along, 2), np.repeat([0.0, 0.5], 30), np.zeros(60)], axis=1)
    squares = drift_free_squares(points, points[:, 0], bandwidth_rows=20)
    expected = 0.04 * squareform(pdist(points[:, :1])) ** 2 + squareform(pdist(points[:, 1:])) ** 2
    np.testing.assert_allclose(squares, expected, atol=1e-9)


def test_without_progress_squares_are_plain():
    points = np.random.default_rng(1).standard_normal((8, 5))
    np.testing.assert_allclose(drift_free_squares(points, np.zeros(8), 3), squareform(pdist(points)) ** 2, atol=1e-12)
