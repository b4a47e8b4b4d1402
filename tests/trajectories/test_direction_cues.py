import numpy as np
import pytest

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories import direction_cues
from zoo_pipeline.trajectories.direction_cues import measure_cues

LAYOUT = Layout.of({"fc1.weight": (4, 6), "fc1.bias": (4,), "fc2.weight": (3, 4), "fc2.bias": (3,)})
NEEDS_LAYOUT = {"common_loss", "neighbours"}


def cues_of(path, layout=None):
    """The cues of one path."""
    return {name: float(values[0]) for name, values in measure_cues(np.asarray(path)[None], layout).values.items()}


def walks(paths=5, checkpoints=9, d=LAYOUT.dimension, seed=0):
    steps = np.random.default_rng(seed).standard_normal((paths, checkpoints, d))
    return np.cumsum(steps, axis=1)


def test_steps_that_halve_on_a_straight_line():
    path = np.outer([0.0, 8, 12, 14, 15], [0.6, 0.8])
    cues = cues_of(path)
    time, length = np.arange(4), np.array([8.0, 4, 2, 1])
    assert cues["step_trend"] == pytest.approx(-np.corrcoef(time, length)[0, 1])
    assert cues["step_ratio"] == pytest.approx(np.log(8))  # a third of four steps is one
    assert cues["concavity"] == pytest.approx((8 + 12 + 14 + 15 - (15 + 7 + 3 + 1)) / 5 / 15)
    assert cues["straightening"] == 0
    assert measure_cues(path[None]).smoothness == pytest.approx([1])


def test_a_path_that_begins_to_wander_was_straighter_at_first():
    path = np.array([[0.0, 1], [1, 1], [2, 1], [2, 2], [1, 2]])
    assert cues_of(path)["straightening"] == pytest.approx(1 - np.sqrt(2) / 2)
    assert measure_cues(path[None]).smoothness == pytest.approx([1 / 3])


def test_a_norm_that_grows_leads_outward():
    path = np.outer([1.0, 2, 3], [1.0, 0, 0])
    cues = cues_of(path)
    assert cues["norm_growth"] == pytest.approx(np.log(3))
    assert cues["outward"] == pytest.approx(1 / 0.02)  # every step is radial, so only the share of the mean is left


def test_steps_that_concentrate_on_few_weights():
    spread, one = np.ones(8), 3 * np.eye(8)[0]
    path = np.cumsum([np.zeros(8), spread, spread, one, one], axis=0)
    kurtosis = [1 / 8, 1 / 8, 1, 1]
    assert cues_of(path)["step_tails"] == pytest.approx(np.corrcoef(range(4), kurtosis)[0, 1])


def test_peaks_are_measured_within_each_tensor_of_sixteen_weights():
    flat, peaked = np.ones(16), np.full(16, 0.1)
    peaked[3] = -2.0
    layout = Layout.of({"a": (4, 4), "b": (4, 4), "c": (2,)})
    path = [np.concatenate([flat, 5 * flat, [k, 0]]) for k in (1.0, 2, 3)]
    path[-1][:16] = peaked
    rms = np.sqrt((15 * 0.01 + 4) / 16)
    assert cues_of(path, layout)["peak_growth"] == pytest.approx(np.log(2 / rms) / 2)


def test_biases_spread():
    layout = Layout.of({"weight": (2, 2), "bias": (2,)})
    path = [[*np.full(4, 9.0 - t), 0.01 - spread, 0.01 + spread] for t, spread in enumerate((0.5, 1.0, 1.5, 4.0))]
    cues = cues_of(path, layout)
    assert cues["spread_growth"] == pytest.approx(np.log(8))
    assert cues["spread_trend"] == pytest.approx(np.corrcoef(range(4), [0.5, 1.0, 1.5, 4.0])[0, 1])


def test_what_the_outputs_have_in_common_is_lost():
    layout = Layout.of({"fc1.weight": (4, 1), "fc2.weight": (2, 1)})
    path = [[0, 0, 0, 0, 3, 1], [1, 0, 0, 0, 3, -1], [2, 0, 0, 0, 3, -2]]  # sums 4, 2, 1 of squares 10, 10, 13
    shares = np.array([16 / 20, 4 / 20, 1 / 26])
    assert cues_of(path, layout)["common_loss"] == pytest.approx(np.log(shares[0] / shares[2]), rel=1e-4)


def test_weights_side_by_side_become_alike():
    layout = Layout.of({"fc1.weight": (2, 4)})
    ragged, smooth = [1.0, -1, 1, -1] * 2, [1.0, 1, -1, -1] * 2
    path = [ragged, np.add(ragged, smooth) / 2, smooth]
    assert cues_of(path, layout)["neighbours"] == pytest.approx(np.corrcoef(range(3), [-3 / 4, 0, 1 / 4])[0, 1])


def test_every_cue_changes_its_sign_when_the_path_is_reversed():
    paths = walks()
    there, back = measure_cues(paths, LAYOUT), measure_cues(paths[:, ::-1], LAYOUT)
    assert set(there.values) > NEEDS_LAYOUT
    for name, values in there.values.items():
        assert (values != 0).all(), name
        np.testing.assert_allclose(values, -back.values[name], rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(there.smoothness, back.smoothness)


def test_cues_do_not_depend_on_the_scale_of_the_weights():
    paths = walks()
    small, large = measure_cues(paths, LAYOUT), measure_cues(1024 * paths, LAYOUT)
    for name, values in small.values.items():
        np.testing.assert_array_equal(values, large.values[name], err_msg=name)


def test_many_paths_give_what_each_gives_alone():
    paths = walks()
    together = measure_cues(paths, LAYOUT).values
    for number, path in enumerate(paths):
        assert cues_of(path, LAYOUT) == pytest.approx({name: values[number] for name, values in together.items()})


def test_a_wide_path_is_measured_in_parts(monkeypatch):
    paths = walks(d=50)
    whole = measure_cues(paths)
    monkeypatch.setattr(direction_cues, "_BLOCK", 7 * paths[..., 0].size)
    parts = measure_cues(paths)
    for name, values in whole.values.items():
        np.testing.assert_allclose(values, parts.values[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("layout", [None, LAYOUT], ids=["without layout", "with layout"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_path_that_stands_still_gives_no_evidence(value, layout):
    cues = cues_of(np.full((5, LAYOUT.dimension), value), layout)
    assert set(cues.values()) == {0.0}
    assert NEEDS_LAYOUT.isdisjoint(cues) == (layout is None)


def test_checkpoints_in_order_leave_the_first_and_approach_the_last():
    line = np.outer([0.0, 1, 2, 3], [1.0, 1])
    shuffled = line[[1, 3, 0, 2]]
    assert measure_cues(np.stack([line, shuffled])).order == pytest.approx(
        [1, (np.corrcoef(range(4), [0, 2, 1, 1])[0, 1] - np.corrcoef(range(4), [1, 1, 2, 0])[0, 1]) / 2]
    )
