"""What may not change a recovery: runs before it, rotation and scale; and what may not get lost: edges of length 0."""

import numpy as np
import pytest

from zoo_pipeline.trajectories.recovery import recover

FIELDS = (
    "family", "trajectory", "position", "progress", "confidence", "leaf", "content", "linkage", "edges", "cut",
    "threshold", "length", "parent", "parent_row", "direction_decided", "direction_confidence",
)  # fmt: skip


def partition(found):
    """The recovered trajectories as sets of rows."""
    numbers = range(len(found.length))
    return {frozenset(np.flatnonzero(found.trajectory == number).tolist()) for number in numbers}


def neighbours(found):
    """All pairs of rows that follow each other, whichever comes first."""
    rows = np.lexsort((found.position, found.trajectory))
    inside = found.trajectory[rows[1:]] == found.trajectory[rows[:-1]]
    return {frozenset(pair) for pair in np.stack([rows[:-1], rows[1:]], 1)[inside].tolist()}


@pytest.mark.parametrize("layout_known", [True, False])
def test_a_second_run_finds_the_same_to_the_last_bit(trained_zoo, layout_known):
    zoo = trained_zoo.shuffled(3)
    layout = zoo.layout if layout_known else None
    first, before = recover(zoo.weights, layout), zoo.weights.copy()
    recover(zoo.weights[::-1].copy() * np.float32(3), layout)  # whatever this leaves behind does not count
    second = recover(zoo.weights, layout)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(second, field), getattr(first, field), err_msg=field)
    np.testing.assert_array_equal(zoo.weights, before)


@pytest.mark.parametrize("scale", [1e-20, 1e-4, 0.3, 2.0, 1e4, 1e9, 1e37])  # float32 holds no squares of the outer
def test_all_weights_of_a_trained_zoo_may_be_scaled(trained_zoo, scale):
    zoo = trained_zoo
    plain = recover(zoo.weights, zoo.layout)
    scaled = recover((zoo.weights * np.float32(scale)).astype(np.float32), zoo.layout)
    assert partition(scaled) == partition(plain)
    assert neighbours(scaled) == neighbours(plain)
    assert scaled.threshold == plain.threshold
    np.testing.assert_allclose(scaled.linkage[:, 2], plain.linkage[:, 2], rtol=1e-3)
    np.testing.assert_allclose(scaled.confidence, plain.confidence, atol=1e-4)


@pytest.mark.parametrize("layout_known", [True, False])
def test_models_may_be_scaled_each_by_itself(trained_zoo, layout_known):
    zoo = trained_zoo
    layout = zoo.layout if layout_known else None
    scale = np.array([1e-25, 1, 1e3, 1e12, 1e30, 1e-9], np.float32)[zoo.model_id]
    assert partition(recover(zoo.weights * scale[:, None], layout)) == partition(recover(zoo.weights, layout))


@pytest.mark.parametrize("name", ["drawn_zoo", "trained_zoo"])
def test_without_a_layout_reflection_and_rotation_change_nothing(name, request):
    zoo = request.getfixturevalue(name)
    d = zoo.weights.shape[1]
    turned = np.linalg.qr(np.random.default_rng(1).standard_normal((d, d)))[0]
    turned[0] *= -1  # and mirrored
    plain, moved = recover(zoo.weights), recover((zoo.weights.astype(np.float64) @ turned).astype(np.float32))
    assert partition(moved) == partition(plain)
    assert neighbours(moved) == neighbours(plain)
    assert moved.cut == pytest.approx(plain.cut, rel=1e-4)
    np.testing.assert_allclose(moved.linkage[:, 2], plain.linkage[:, 2], rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("layout_known", [True, False])
def test_edges_of_length_zero_join_copies_and_leave_the_rest_alone(trained_zoo, layout_known):
    zoo = trained_zoo
    layout = zoo.layout if layout_known else None
    copied = [3, 3, 20, 77]  # the first twice
    rows = np.concatenate([np.arange(len(zoo.weights)), copied])
    plain, found = recover(zoo.weights, layout), recover(zoo.weights[rows], layout)
    assert (found.linkage[:, 2] == 0).sum() == 4
    assert len(found.edges) == len(rows) - 1
    assert found.linkage[-1, 3] == len(rows)  # every row has been joined: none was lost with its edge
    originals = len(zoo.weights)
    assert found.content[originals:].tolist() == found.content[copied].tolist()
    assert found.trajectory[originals:].tolist() == found.trajectory[copied].tolist()
    for number, row in enumerate(copied):
        own = found.content == found.content[row]
        places = found.position[own]
        assert places.max() - places.min() == own.sum() - 1, number  # copies stand side by side
    assert partition(recover(zoo.weights[rows[:originals]], layout)) == partition(plain)
    kept = {frozenset(row for row in part if row < originals) for part in partition(found)}
    assert kept == partition(plain)


def test_a_bag_of_copies_alone_is_one_trajectory_with_a_known_layout(trained_zoo):
    found = recover(np.repeat(trained_zoo.weights[5:6], 7, axis=0), trained_zoo.layout)
    assert found.trajectory.tolist() == [0] * 7
    assert sorted(found.position) == list(range(7))
    assert found.content.tolist() == [0] * 7
    assert found.linkage[:, 2].tolist() == [0] * 6
    assert found.direction_decided.tolist() == [False]


def test_two_checkpoints_of_one_model_join_and_those_of_two_do_not(trained_zoo):
    zoo = trained_zoo
    rows = np.flatnonzero(zoo.model_id == 2)[[4, 5]]
    together = recover(zoo.weights[rows], zoo.layout)
    assert together.trajectory.tolist() == [0, 0]
    assert sorted(together.position) == [0, 1]
    assert together.direction_decided.tolist() == [False]
    apart = recover(zoo.weights[[4, 40]], zoo.layout)
    assert zoo.model_id[4] != zoo.model_id[40]
    assert sorted(apart.trajectory) == [0, 1]
