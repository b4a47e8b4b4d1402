import numpy as np
import pytest

from zoo_pipeline.report import principal_components


@pytest.mark.parametrize("shape", [(60, 20), (20, 60), (700, 40)])
def test_coordinates_are_those_of_the_svd_up_to_sign(shape):
    rng = np.random.default_rng(0)
    weights = (rng.normal(size=shape) * np.linspace(3, 1, shape[1]) + 5).astype(np.float32)
    coordinates, share = principal_components(weights)
    u, s, _ = np.linalg.svd(weights.astype(np.float64) - weights.mean(axis=0, dtype=np.float64), full_matrices=False)
    assert np.allclose(np.abs(coordinates), np.abs(u[:, :3] * s[:3]), atol=2e-3)
    assert np.allclose(share, s[:3] ** 2 / (s**2).sum(), rtol=1e-4)


def test_rows_that_are_not_finite_are_skipped():
    weights = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)
    holed = np.insert(weights, 4, np.nan, axis=0)
    holed[4, 1:] = np.inf
    coordinates, share = principal_components(holed)
    expected, expected_share = principal_components(weights)
    assert np.isnan(coordinates[4]).all()
    assert np.array_equal(np.delete(coordinates, 4, axis=0), expected)
    assert share == expected_share


@pytest.mark.parametrize("shape", [(0, 5), (1, 5), (2, 5), (5, 2), (5, 1)])
def test_too_little_data_leaves_zeros(shape):
    weights = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    coordinates, share = principal_components(weights)
    assert coordinates.shape == (shape[0], 3)
    assert coordinates.dtype == np.float32
    assert np.isfinite(coordinates).all()
    assert len(share) == 3
    assert not coordinates[:, min(shape) :].any()


def test_equal_and_missing_checkpoints_have_no_variance():
    assert principal_components(np.ones((4, 3), dtype=np.float32))[1] == (0.0, 0.0, 0.0)
    coordinates, share = principal_components(np.full((4, 3), np.nan, dtype=np.float32))
    assert np.isnan(coordinates).all()
    assert share == (0.0, 0.0, 0.0)


def test_the_result_repeats():
    weights = np.random.default_rng(0).normal(size=(600, 1100)).astype(np.float32)
    assert np.array_equal(principal_components(weights)[0], principal_components(weights)[0])
