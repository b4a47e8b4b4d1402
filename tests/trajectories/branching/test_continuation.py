import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.continuation import GOES_ON, continuation_score, measure_continuation

# Steps (1, 0), (2, 0); then (0, 4), (3, 4).
BEFORE = np.array([[0.0, 0], [1, 0], [3, 0]])
AFTER = np.array([[3.0, 4], [6, 8]])


def test_a_step_is_measured_by_angles_and_ratios_of_lengths():
    expected = {
        "turn": 0.0,
        "older_turn": 0.0,
        "jump": np.log(2),
        "trend": 0.0,  # 4 / 2 as 2 / 1 before
        "slowing": np.log(4 / 5),
        "own_turn": 0.8,
    }
    assert measure_continuation(BEFORE, AFTER) == pytest.approx(expected)
    slow = measure_continuation(BEFORE, np.array([[3.6, 0.8]]))  # a step of 1 at an angle of cosine 0.6
    assert slow["turn"] == slow["older_turn"] == pytest.approx(0.6)
    assert slow["jump"] == pytest.approx(np.log(2))
    assert slow["trend"] == pytest.approx(np.log(4))


def test_only_the_rows_beside_the_fork_count():
    longer = np.concatenate([[[7.0, -5], [2, 2]], BEFORE]), np.concatenate([AFTER, [[50.0, 1]]])
    assert measure_continuation(*longer) == measure_continuation(BEFORE, AFTER)


def test_what_is_too_short_repeats_the_step_beside_it():
    short = measure_continuation(BEFORE[1:], AFTER[:1])
    assert short == measure_continuation(np.array([[-1.0, 0], [1, 0], [3, 0]]), np.array([[3.0, 4], [3, 8]]))
    assert (short["slowing"], short["own_turn"]) == (0, 1)
    assert short["trend"] == short["jump"] == pytest.approx(np.log(2))


def test_the_score_is_the_judgement_of_all_measures():
    measured = measure_continuation(BEFORE, AFTER)
    assert continuation_score(BEFORE, AFTER) == pytest.approx(float(GOES_ON.scores(measured)))
    assert set(GOES_ON.names) == set(measured)


@pytest.mark.parametrize("seed", range(5))
def test_what_keeps_heading_and_pace_goes_on_and_what_turns_off_slowly_is_new(seed):
    rng = np.random.default_rng(seed)
    heading = rng.standard_normal(50)
    pace = 0.9 ** np.arange(8)[:, None]
    run = np.cumsum(pace * (heading + 0.3 * rng.standard_normal((8, 50))), axis=0)
    fresh = run[4] + np.cumsum(0.3 * pace[4] * rng.standard_normal((2, 50)), axis=0)
    assert continuation_score(run[:5], run[5:]) > continuation_score(run[:5], fresh) + 3


def test_scaling_turning_and_shifting_changes_nothing():
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    before, after = rng.standard_normal((4, 6)), rng.standard_normal((3, 6))
    moved = measure_continuation(*(7.0 * rows @ turn + 2.0 for rows in (before, after)))
    assert moved == pytest.approx(measure_continuation(before, after))
