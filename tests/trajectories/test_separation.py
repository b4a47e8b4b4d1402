import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import adjusted_rand_score

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.distances import cosine_distances
from zoo_pipeline.trajectories.exchange import split_weights
from zoo_pipeline.trajectories.linkage import spanning_tree
from zoo_pipeline.trajectories.separation import FALSE_JOINS, LOOKS, largest_gap, separate, threshold


def separated(weights):
    distances = cosine_distances(weights)
    return separate(distances, spanning_tree(distances, weights), None)


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


def related(weights, layout):
    split = split_weights(weights, layout)
    rows = split.rows.numpy()
    distances = cosine_distances(rows)
    return separate(distances, spanning_tree(distances, rows), split)


def test_one_trajectory_alone_stays_whole_where_the_layout_is_known(trained_zoo):
    own = trained_zoo.weights[trained_zoo.model_id == 0]
    assert related(own, trained_zoo.layout).labels.tolist() == [0] * len(own)


def test_networks_of_different_models_stay_apart_whatever_their_epochs(trained_zoo):
    found = related(trained_zoo.weights[trained_zoo.epoch == trained_zoo.model_id], trained_zoo.layout)
    assert found.labels.tolist() == list(range(6))


def test_noise_half_as_long_as_the_way_of_training_leaves_models_whole_and_apart(trained_zoo):
    """Each checkpoint with noise of its own; noise four times as long as the whole way breaks some off."""
    rng = np.random.default_rng(0)
    ends = [trained_zoo.weights[trained_zoo.epoch == epoch] for epoch in (0, 12)]
    way = np.linalg.norm(ends[1] - ends[0], axis=1).mean()
    weights = trained_zoo.weights
    noise = (way * rng.standard_normal(weights.shape) / weights.shape[1] ** 0.5).astype(np.float32)
    half, four = (
        related(weights + part * noise, trained_zoo.layout).labels for part in (np.float32(0.5), np.float32(4))
    )
    assert adjusted_rand_score(trained_zoo.model_id, half) == 1
    assert len(np.unique(four)) > len(np.unique(half))


def test_steps_longer_than_the_distance_to_strangers_are_still_joined():
    # Row 1 is nearer to the stranger 2 by its cosine, but by chance no likelier: its own cosine with 0 is rarer.
    layout = Layout.of({"fc1.weight": (32, 40), "fc2.weight": (5, 32)})
    rng = np.random.default_rng(0)
    start = rng.standard_normal(layout.dimension)
    heavy = np.zeros((2, layout.dimension))
    heavy[:, :40] = 40 * rng.standard_normal((2, 40))  # one unit outweighs all others: cosines vary much
    step = start + 2 * rng.standard_normal(layout.dimension)
    found = related(np.stack([start, step, *(heavy + rng.standard_normal(heavy.shape))]).astype(np.float32), layout)
    assert found.labels.tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("families", [2, 64, 10_000])
def test_the_threshold_leaves_unrelated_pairs_the_stated_chance(families):
    pairs = families * (families - 1) / 2
    assert norm.sf(threshold(families)) * pairs * LOOKS == pytest.approx(FALSE_JOINS)
