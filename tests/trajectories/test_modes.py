import numpy as np
import pytest

from zoo_pipeline.errors import ZooError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories import bag_geometry, mode_of, recover, recover_exactly

LAYOUT = Layout.of({"fc1.weight": (5, 16), "fc2.weight": (4, 5)})


def test_the_geometry_is_that_of_what_is_recovered(trained_zoo):
    recovery, geometry = recover_exactly(trained_zoo.weights, trained_zoo.layout)
    expected = recover(trained_zoo.weights, trained_zoo.layout)
    described = bag_geometry(trained_zoo.weights, expected.trajectory, expected.position)
    np.testing.assert_array_equal(recovery.trajectory, expected.trajectory)
    np.testing.assert_array_equal(geometry.arc_length, described.arc_length)
    assert list(recovery.seconds) == ["separation", "ordering", "geometry"]


@pytest.mark.parametrize(
    ("rows", "layout", "mode"),
    [
        (10_000, LAYOUT, "exact"),
        (10_001, LAYOUT, "approximate"),
        (32_768, None, "exact"),
        (32_768, Layout.of({"w": (3, 4)}), "exact"),
    ],
)
def test_large_bags_are_compared_by_sketches_where_these_see_anything(rows, layout, mode):
    assert mode_of(rows, layout) == mode


def test_bags_too_large_for_that_are_refused_and_the_remedy_is_named():
    with pytest.raises(ZooError, match=r"^analysis: 32,769 checkpoints of unknown layout .* say by --layout FILE.json"):
        mode_of(32_769, None)
    with pytest.raises(ZooError, match=r"with hardly any hidden units .* at most 32,768: analyse fewer at once$"):
        mode_of(32_769, Layout.of({"w": (3, 4)}))
