import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, is_valid_linkage
from sklearn.metrics import adjusted_rand_score

from zoo_pipeline.errors import ZooError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.recovery import recover
from zoo_pipeline.trajectories.scoring import Scores, score

ROW_FIELDS = ("trajectory", "position", "progress", "confidence", "leaf", "content")
OTHER_FIELDS = ("linkage", "edges", "cut", "length", "direction_decided", "direction_confidence")


def perfect(models, margin):
    return Scores(models, models, 1.0, 1.0, 1.0, margin, 1.0, 1.0, 1.0, 1.0, 0.0)


@pytest.mark.parametrize("name", ["drawn_zoo", "trained_zoo"])
def test_a_shuffled_zoo_is_recovered_without_an_error(name, request):
    zoo = request.getfixturevalue(name).shuffled(1)
    found = recover(zoo.weights, zoo.layout)
    scores = score(found, zoo.weights, zoo.model_id, zoo.epoch)
    assert scores == perfect(len(np.unique(zoo.model_id)), scores.margin)
    assert scores.margin > 1
    np.testing.assert_array_equal(found.position, zoo.epoch)
    np.testing.assert_array_equal(found.progress, (zoo.epoch / zoo.epoch.max()).astype(np.float32))
    assert (found.confidence > 0.5).all()
    assert sorted(found.seconds) == ["ordering", "separation"]


@pytest.mark.parametrize("name", ["drawn_zoo", "trained_zoo"])
def test_the_result_follows_the_rows_bit_for_bit_however_they_are_shuffled(name, request):
    zoo = request.getfixturevalue(name)
    expected = recover(zoo.weights, zoo.layout)
    for seed in range(3):
        rows = np.random.default_rng(seed).permutation(len(zoo.weights))
        found = recover(zoo.weights[rows], zoo.layout)
        for field in ROW_FIELDS:
            np.testing.assert_array_equal(getattr(found, field), getattr(expected, field)[rows], err_msg=field)
        for field in OTHER_FIELDS:
            np.testing.assert_array_equal(getattr(found, field), getattr(expected, field), err_msg=field)


def test_equal_rows_are_interchangeable_and_the_rest_follows_the_rows(drawn_zoo):
    weights = drawn_zoo.weights.copy()
    weights[[5, 6, 90]] = weights[4]
    expected = recover(weights)
    shuffled = weights[np.random.default_rng(0).permutation(len(weights))]
    found = recover(shuffled)
    by_leaf, expected_by_leaf = np.argsort(found.leaf), np.argsort(expected.leaf)
    np.testing.assert_array_equal(shuffled[by_leaf], weights[expected_by_leaf])
    for field in ROW_FIELDS:
        np.testing.assert_array_equal(getattr(found, field)[by_leaf], getattr(expected, field)[expected_by_leaf])
    assert len(np.unique(found.content)) == len(weights) - 3


def orders(found):
    """The recovered trajectories as a set of row sequences, each from its lower end."""
    sequences = []
    for number in range(len(found.length)):
        rows = np.flatnonzero(found.trajectory == number)
        rows = rows[np.argsort(found.position[rows])].tolist()
        sequences.append(tuple(min(rows, rows[::-1])))
    return sorted(sequences)


@pytest.mark.parametrize("scale", [0.25, 1e-3, 77.7])
def test_scaling_all_weights_changes_no_trajectory_and_no_order(drawn_zoo, scale):
    zoo = drawn_zoo
    assert orders(recover((zoo.weights * scale).astype(np.float32))) == orders(recover(zoo.weights))


def test_a_rotation_of_weight_space_changes_no_trajectory_and_no_order(trained_zoo):
    zoo = trained_zoo
    d = zoo.weights.shape[1]
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((d, d)))[0]
    assert orders(recover((zoo.weights @ rotation).astype(np.float32))) == orders(recover(zoo.weights))


def test_rows_that_are_not_finite_are_left_out_and_harm_no_other(drawn_zoo):
    zoo = drawn_zoo.shuffled(2)
    bad = [3, 50, 51, 120]
    good = np.setdiff1d(np.arange(len(zoo.weights)), bad)
    weights = zoo.weights.copy()
    weights[bad, [0, 7, 30, 79]] = [np.nan, np.inf, -np.inf, np.nan]
    found, expected = recover(weights, zoo.layout), recover(weights[good], zoo.layout)
    for field in ROW_FIELDS:
        np.testing.assert_array_equal(getattr(found, field)[good], getattr(expected, field))
    for field in ("trajectory", "position", "leaf", "content"):
        assert getattr(found, field)[bad].tolist() == [-1] * 4
    assert np.isnan(found.progress[bad]).all()
    assert np.isnan(found.confidence[bad]).all()
    scores = score(found, weights, zoo.model_id, zoo.epoch)
    assert scores == perfect(12, scores.margin)


def test_the_linkage_cut_at_the_cut_gives_the_trajectories(drawn_zoo):
    found = recover(drawn_zoo.weights)
    assert is_valid_linkage(found.linkage)
    clusters = fcluster(found.linkage, found.cut, "distance")[found.leaf]
    assert adjusted_rand_score(clusters, found.trajectory) == 1
    unit = drawn_zoo.weights / np.linalg.norm(drawn_zoo.weights, axis=1, keepdims=True)
    rows = np.argsort(found.leaf)[found.edges]
    heights = 1 - (unit[rows[:, 0]] * unit[rows[:, 1]]).sum(axis=1)
    np.testing.assert_allclose(found.linkage[:, 2], heights, atol=1e-6)


def test_trajectories_are_numbered_by_their_first_leaf(drawn_zoo):
    found = recover(drawn_zoo.weights)
    first = [found.leaf[found.trajectory == number].min() for number in range(len(found.length))]
    assert first == sorted(first)
    assert found.length.tolist() == np.bincount(found.trajectory).tolist()


def test_unrelated_networks_come_out_alone():
    weights = np.random.default_rng(0).standard_normal((40, 300)).astype(np.float32)
    found = recover(weights)
    assert sorted(found.trajectory) == list(range(40))
    assert found.position.tolist() == [0] * 40
    assert found.progress.tolist() == [0] * 40
    assert found.direction_confidence.tolist() == [0.5] * 40
    assert not found.direction_decided.any()


def test_equal_rows_share_a_trajectory_and_a_content():
    found = recover(np.full((6, 4), 0.3, np.float32))
    assert found.trajectory.tolist() == [0] * 6
    assert sorted(found.position) == list(range(6))
    assert found.content.tolist() == [0] * 6
    assert found.linkage[:, 2].tolist() == [0] * 5
    assert found.direction_decided.tolist() == [False]


def test_copies_of_checkpoints_change_no_score(drawn_zoo):
    zoo = drawn_zoo
    rows = np.concatenate([np.arange(len(zoo.weights)), [0, 0, 17, 100]])
    found = recover(zoo.weights[rows], zoo.layout)
    scores = score(found, zoo.weights[rows], zoo.model_id[rows], zoo.epoch[rows])
    assert scores == perfect(12, scores.margin)


def test_an_empty_bag_has_no_trajectory():
    for weights in (np.zeros((0, 5), np.float32), np.full((2, 5), np.nan, np.float32)):
        found = recover(weights)
        assert found.trajectory.tolist() == [-1] * len(weights)
        assert found.linkage.shape == (0, 4)
        assert found.edges.shape == (0, 2)
        assert found.length.shape == found.direction_decided.shape == found.direction_confidence.shape == (0,)
        assert score(found, weights, np.zeros(len(weights), int)) == Scores(0)


@pytest.mark.parametrize("checkpoints", [0, 1, 2])
def test_very_small_bags_with_a_layout_are_recovered(trained_zoo, checkpoints):
    found = recover(trained_zoo.weights[:checkpoints], trained_zoo.layout)
    assert found.trajectory.tolist() == [0] * checkpoints
    left_out = recover(np.full((2, trained_zoo.weights.shape[1]), np.nan, np.float32), trained_zoo.layout)
    assert left_out.trajectory.tolist() == [-1, -1]


def test_one_and_two_checkpoints_stand_alone():
    weights = np.array([[1, 2, 3], [1, 2, 4]], np.float32)
    one, two = recover(weights[:1]), recover(weights)
    assert (one.trajectory.tolist(), one.position.tolist(), one.confidence.tolist()) == ([0], [0], [1])
    assert sorted(two.trajectory) == [0, 1]
    np.testing.assert_allclose(two.confidence, 0.5, rtol=1e-6)
    assert two.cut == pytest.approx(two.linkage[0, 2] / 2)


def test_one_trajectory_alone_is_split_as_documented(drawn_zoo):
    alone = recover(drawn_zoo.weights[drawn_zoo.model_id == 0])
    assert len(alone.length) > 1


@pytest.mark.parametrize("weights", [np.zeros(3, np.float32), np.zeros((3, 0), np.float32), np.zeros((3, 2))])
def test_anything_but_a_float32_matrix_is_refused(weights):
    with pytest.raises(ZooError, match=r"expected float32\[checkpoints, parameters\]"):
        recover(weights)


def test_a_bag_past_the_memory_limit_is_refused():
    with pytest.raises(ZooError, match="at most 10 checkpoints"):
        recover(np.ones((20, 2), np.float32), memory_limit_bytes=400)


def test_a_layout_of_another_width_is_refused():
    layout = Layout.of({"w": (3, 2), "v": (2, 3)})
    with pytest.raises(ZooError, match="the layout is of 12 weights, the checkpoints have 5"):
        recover(np.zeros((4, 5), np.float32), layout)


def test_a_list_is_told_what_was_expected():
    with pytest.raises(ZooError, match=r"weights are float64\[2, 2\], expected float32"):
        recover([[1.0, 2.0], [2.0, 3.0]])


def test_the_sign_of_a_zero_changes_nothing():
    """A row and its copy with −0.0 are equal, and two rows at no distance are no two steps."""
    rng = np.random.default_rng(2)
    layout = Layout.of({"fc1.weight": (5, 16), "fc1.bias": (5,), "fc2.weight": (4, 5), "fc2.bias": (4,)})
    walk = rng.standard_normal(109) + np.cumsum(0.1 * rng.standard_normal((60, 109)), axis=0)
    fork = walk[20] + np.cumsum(0.1 * rng.standard_normal((50, 109)), axis=0)
    weights = np.concatenate([walk, fork]).astype(np.float32)
    weights[:, 7] = 0
    weights = np.concatenate([weights, weights[rng.choice(110, 5, replace=False)]])
    signed = weights.copy()
    signed[110:, 7] = -0.0
    plain, other = recover(weights, layout), recover(signed, layout)
    for name in ("trajectory", "position", "content", "confidence"):
        np.testing.assert_array_equal(getattr(other, name), getattr(plain, name))
