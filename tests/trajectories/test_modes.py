import numpy as np
import pytest

from zoo_pipeline.trajectories import bag_geometry, modes, recover, recover_bag


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(modes, "EXACT_UP_TO", 50)


def test_small_bags_are_compared_whole(trained_zoo):
    recovery, geometry, mode = recover_bag(trained_zoo.weights, trained_zoo.layout)
    expected = recover(trained_zoo.weights, trained_zoo.layout)
    described = bag_geometry(trained_zoo.weights, expected.trajectory, expected.position)
    assert mode == "exact"
    np.testing.assert_array_equal(recovery.trajectory, expected.trajectory)
    np.testing.assert_array_equal(geometry.arc_length, described.arc_length)
    assert list(recovery.seconds) == ["separation", "ordering", "geometry"]


def test_large_bags_are_compared_by_sketches_first_with_the_same_result(trained_zoo, small, monkeypatch):
    monkeypatch.setattr(modes, "_READ_ROWS", 11)
    recovery, geometry, mode = recover_bag(trained_zoo.weights, trained_zoo.layout)
    expected = recover(trained_zoo.weights, trained_zoo.layout)
    assert mode == "approximate"
    np.testing.assert_array_equal(recovery.trajectory, expected.trajectory)
    np.testing.assert_array_equal(recovery.position, expected.position)
    assert np.isfinite(geometry.arc_length).all()


def test_large_bags_of_unknown_layout_are_compared_whole(drawn_zoo, small):
    assert recover_bag(drawn_zoo.weights, None)[2] == "exact"
