import numpy as np
import pytest

from zoo_pipeline.trajectories.direction import DECIDED_FROM, decide_direction, direction_cues


def path_with(step_lengths, drift=0.0, d=400, seed=0):
    """Draws a path with given step lengths; `drift` of every step lies along the weights, which grows the norm."""
    rng = np.random.default_rng(seed)
    point = rng.standard_normal(d)
    path = [point]
    for length in step_lengths:
        outward = point / np.linalg.norm(point)
        aside = rng.standard_normal(d)
        aside -= aside @ outward * outward
        step = drift * outward + (1 - abs(drift)) * aside / np.linalg.norm(aside)
        point = point + length * step / np.linalg.norm(step)
        path.append(point)
    return np.array(path)


SHRINKING = 2 * 0.85 ** np.arange(20)
EVEN = np.full(20, 0.5)


def test_cues_are_the_log_ratios_of_the_last_third_to_the_first():
    path = np.array([[3.0, 4], [3, 0], [3, -1], [3, -1.5], [3, -1.75], [3, -4], [3, -4]])
    cues = direction_cues(path)
    assert cues.step_trend == pytest.approx(np.log((4 + 1) / (2.25 + 0)))
    assert cues.norm_growth == pytest.approx(np.log((5 + 5) / (5 + 3)))
    assert cues.kurtosis_growth == 0  # no tensor has the sixteen weights it takes


def test_kurtosis_is_measured_within_each_tensor():
    flat = np.tile([-1.0, 1], 16)  # kurtosis 1
    spiked = np.zeros(32)
    spiked[:2] = -1, 1  # kurtosis 16
    path = np.stack([np.concatenate([flat, flat]), np.zeros(64), np.concatenate([spiked, flat])])
    cues = direction_cues(path, [slice(0, 32), slice(32, 64)])
    assert cues.kurtosis_growth == pytest.approx(np.log(16) / 2)
    assert direction_cues(path).kurtosis_growth == pytest.approx(np.log(64 * (32 + 2) / 34**2))


@pytest.mark.parametrize(
    ("steps", "drift"),
    [(SHRINKING, 0.0), (SHRINKING, 0.3), (EVEN, 0.3), (SHRINKING, -0.1)],
    ids=["shrinking steps", "both", "growing norm", "shrinking steps under regularisation"],
)
def test_clear_cues_decide_either_way(steps, drift):
    path = path_with(steps, drift)
    there, back = decide_direction(path), decide_direction(path[::-1])
    assert (there.forward, there.decided) == (True, True)
    assert (back.forward, back.decided) == (False, True)
    assert there.confidence == pytest.approx(back.confidence)
    assert there.confidence >= DECIDED_FROM


def test_a_walk_without_trend_is_undecided():
    steps = np.where(np.arange(20) % 2, 0.5, 0.6)
    path = path_with(steps)
    path *= 22 / np.linalg.norm(path, axis=1, keepdims=True)
    found = decide_direction(path)
    assert not found.decided
    assert 0.5 <= found.confidence < DECIDED_FROM


@pytest.mark.parametrize("checkpoints", [1, 2])
def test_too_few_checkpoints_are_undecided(checkpoints):
    found = decide_direction(path_with(SHRINKING)[:checkpoints])
    assert (found.forward, found.decided, found.confidence) == (True, False, 0.5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_path_that_stands_still_is_undecided(value):
    found = decide_direction(np.full((5, 20), value))
    assert (found.decided, found.confidence) == (False, 0.5)
