import numpy as np
import pytest

from zoo_pipeline.trajectories.geometry import bag_geometry, path_geometry


def embedded(points):
    """Puts a low-dimensional curve into twelve dimensions, rotated at random."""
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((12, 12)))[0]
    return points @ rotation[: points.shape[1]] + 3.0


def test_a_straight_line():
    found = path_geometry(embedded(np.array([[0.0], [1.0], [3.0], [3.5]])))
    np.testing.assert_allclose(found.step_length, [np.nan, 1, 2, 0.5])
    np.testing.assert_allclose(found.arc_length, [0, 1, 3, 3.5])
    np.testing.assert_allclose(found.displacement, [0, 1, 3, 3.5])
    np.testing.assert_allclose(found.turning_angle, [np.nan, 0, 0, np.nan], atol=1e-13)
    np.testing.assert_allclose(found.curvature, [np.nan, 0, 0, np.nan], atol=1e-13)
    assert found.straightness == pytest.approx(1)
    assert found.smoothness == pytest.approx(1)


@pytest.mark.parametrize("radius", [0.01, 1.0, 250.0])
def test_a_circle(radius):
    n = 36
    t = 2 * np.pi * np.arange(n + 1) / n
    found = path_geometry(embedded(radius * np.stack([np.cos(t), np.sin(t)], axis=1)))
    np.testing.assert_allclose(found.turning_angle[1:-1], 2 * np.pi / n, rtol=1e-9)
    np.testing.assert_allclose(found.curvature[1:-1], 1 / radius, rtol=1e-9)
    np.testing.assert_allclose(found.step_length[1:], 2 * radius * np.sin(np.pi / n), rtol=1e-9)
    np.testing.assert_allclose(found.displacement, 2 * radius * abs(np.sin(t / 2)), atol=1e-9 * radius)
    assert found.straightness == pytest.approx(0, abs=1e-9)
    assert found.smoothness == pytest.approx(np.cos(2 * np.pi / n))


def test_curvature_of_a_helix_converges_with_the_square_of_the_sampling():
    radius, pitch = 2.0, 0.5
    expected = radius / (radius**2 + pitch**2)
    errors = []
    for n in (100, 200, 400):
        t = np.linspace(0, 4 * np.pi, n)
        helix = np.stack([radius * np.cos(t), radius * np.sin(t), pitch * t], axis=1)
        errors.append(np.abs(path_geometry(embedded(helix)).curvature[1:-1] - expected).max())
    assert errors[2] < 1e-4 * expected
    np.testing.assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], 4, rtol=0.1)


def test_curvature_is_mengers_area_by_herons_formula():
    triangle = np.array([[0.0, 0], [3, 0], [3, 4]])  # sides 3, 4, 5, area 6: 4·6 / 60
    assert path_geometry(embedded(triangle)).curvature[1] == pytest.approx(0.4)


def test_small_and_flat_angles_keep_their_accuracy():
    angle = 1e-10
    forth = np.array([[0, 0], [1, 0], [1 + np.cos(angle), np.sin(angle)]])
    back = np.array([[0, 0], [1, 0], [1 - np.cos(angle), np.sin(angle)]])
    assert path_geometry(forth).turning_angle[1] == pytest.approx(angle, rel=1e-5)
    assert np.pi - path_geometry(back).turning_angle[1] == pytest.approx(angle, rel=1e-5)


def test_what_a_step_of_length_zero_leaves_undefined_is_nan():
    found = path_geometry(np.array([[0.0], [1], [1], [2], [3]]))
    np.testing.assert_array_equal(found.turning_angle, [np.nan, np.nan, np.nan, 0, np.nan])
    np.testing.assert_array_equal(found.curvature, [np.nan, np.nan, np.nan, 0, np.nan])
    assert found.smoothness == 1


def test_there_and_back_turns_by_pi_and_has_no_circle():
    found = path_geometry(np.array([[0.0], [1], [0]]))
    assert found.turning_angle[1] == pytest.approx(np.pi)
    assert np.isnan(found.curvature[1])
    assert found.smoothness == pytest.approx(-1)
    assert found.straightness == 0


def test_short_paths_and_still_ones_have_no_shape():
    for points in (np.zeros((1, 2)), np.zeros((4, 2))):
        found = path_geometry(points)
        assert np.isnan(found.straightness)
        assert np.isnan(found.smoothness)
        assert found.arc_length.tolist() == [0] * len(points)
    assert path_geometry(np.eye(2)).straightness == 1


def test_a_bag_is_described_path_by_path_in_float64():
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((10, 4)).astype(np.float32)
    trajectory = np.array([1, 0, 1, -1, 0, 1, 0, 1, 2, 0])
    position = np.array([2, 0, 0, -1, 3, 1, 2, 3, 0, 1])
    found = bag_geometry(weights, trajectory, position)
    for number in range(3):
        rows = np.flatnonzero(trajectory == number)
        rows = rows[np.argsort(position[rows])]
        expected = path_geometry(weights[rows].astype(np.float64))
        for name in ("step_length", "turning_angle", "curvature", "arc_length", "displacement"):
            np.testing.assert_array_equal(getattr(found, name)[rows], getattr(expected, name))
        np.testing.assert_array_equal(found.straightness[number], expected.straightness)
        np.testing.assert_array_equal(found.smoothness[number], expected.smoothness)
    assert np.isnan(found.arc_length[3])


def test_an_empty_bag_has_no_geometry():
    none = np.zeros(0, np.int32)
    found = bag_geometry(np.zeros((0, 3), np.float32), none, none)
    assert found.step_length.shape == found.straightness.shape == (0,)
