import numpy as np
import pytest

from zoo_pipeline.trajectories.distances import cosine_distances
from zoo_pipeline.trajectories.linkage import spanning_tree
from zoo_pipeline.trajectories.separation import largest_gap, separate


def separated(weights):
    distances = cosine_distances(weights)
    return separate(distances, spanning_tree(distances, weights))


def directions(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("heights", "cut"),
    [([], 0), ([0, 0], 0), ([0.4], 0.2), ([0.1, 0.2, 0.8, 0.9], 0.5), ([0.7, 0.8, 0.9], 0.35), ([0.25, 0.5], 0.125)],
)
def test_cuts_in_the_middle_of_the_largest_gap_the_leaves_level_included(heights, cut):
    assert largest_gap(np.array(heights)) == pytest.approx(cut)


def test_groups_of_near_directions_are_found_and_numbered_by_their_first_row():
    found = separated(directions(90, 0, 93, 3, 6, 200))
    assert found.labels.tolist() == [0, 1, 0, 1, 1, 2]
    assert 1 - np.cos(np.radians(3)) < found.cut < 1 - np.cos(np.radians(84))


def test_confidence_compares_the_nearest_fellow_with_the_nearest_stranger():
    found = separated(directions(0, 3, 90, 93))
    near, far = 1 - np.cos(np.radians(3)), 1 - np.cos(np.radians(87))
    assert found.confidence[1] == pytest.approx(1 - near / far, abs=1e-6)
    assert found.confidence[0] == pytest.approx(1 - near / 1, abs=1e-6)


def test_a_row_alone_is_compared_with_the_cut():
    found = separated(directions(0, 3, 90))
    assert found.confidence[2] == pytest.approx(1 - found.cut / (1 - np.cos(np.radians(87))), abs=1e-6)


def test_unrelated_rows_stay_alone():
    weights = np.random.default_rng(0).standard_normal((60, 500)).astype(np.float32)
    found = separated(weights)
    assert found.labels.tolist() == list(range(60))
    assert ((found.confidence > 0.3) & (found.confidence < 1)).all()


def test_equal_rows_stay_together_with_full_confidence():
    found = separated(np.full((5, 3), 0.1, np.float32))
    assert found.labels.tolist() == [0] * 5
    assert found.cut == 0
    assert found.confidence.tolist() == [1] * 5
