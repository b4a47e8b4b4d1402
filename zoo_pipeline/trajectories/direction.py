"""Direction: which end of an ordered trajectory came first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.direction_cues import LEAST_CHECKPOINTS, measure_cues

DECIDED_FROM = 0.9
LEAST_ORDER = 0.4  # nearly all shuffled paths of a dozen checkpoints are below it, one real path in a hundred is


class CueWeight(NamedTuple):
    """What one cue adds to the log-odds: (weight + smooth_weight · smoothness) · tanh(cue / scale)."""

    scale: float
    weight: float
    smooth_weight: float


# Fitted by `python -m benchmarks.fit_direction` on six tenths of its configurations, scored on others; frozen.
WITH_LAYOUT: Mapping[str, CueWeight] = {
    "step_trend": CueWeight(1.71, 1.333, 1.935),
    "step_ratio": CueWeight(1.52, 1.753, -0.2356),
    "concavity": CueWeight(0.346, 2.306, 0.2809),
    "straightening": CueWeight(0.0652, 0.6113, -0.07821),
    "step_tails": CueWeight(1.24, 1.01, -0.7673),
    "outward": CueWeight(20.8, 2.89, -4.187),
    "norm_growth": CueWeight(0.159, 1.801, -0.426),
    "peak_growth": CueWeight(0.202, 1.864, 4.743),
    "spread_growth": CueWeight(0.182, 0.702, 2.833),
    "spread_trend": CueWeight(1.37, 1.449, -1.758),
    "common_loss": CueWeight(0.264, 2.323, 2.123),
    "neighbours": CueWeight(1.85, -0.0236, 2.051),
}
WITHOUT_LAYOUT: Mapping[str, CueWeight] = {
    "step_trend": CueWeight(1.71, 1.925, 2.121),
    "step_ratio": CueWeight(1.52, 2.193, -2.57),
    "concavity": CueWeight(0.346, 3.005, 1.203),
    "straightening": CueWeight(0.0652, 0.7096, -1.712),
    "step_tails": CueWeight(1.24, 0.9503, -0.2387),
    "outward": CueWeight(20.8, 1.303, -3.55),
    "norm_growth": CueWeight(0.159, -0.8618, -0.8389),
    "peak_growth": CueWeight(0.124, 0.6621, 3.194),
    "spread_growth": CueWeight(0.168, 2.682, 1.721),
    "spread_trend": CueWeight(1.92, 2.737, 0.3588),
}


@dataclass(frozen=True)
class Direction:
    """A verdict on which end came first.

    Attributes:
        forward: whether the given order is the likelier one.
        confidence: probability of the likelier order, in [0.5, 1], calibrated on zoos that were not fitted to.
        decided: whether the confidence reaches `DECIDED_FROM`.
    """

    forward: bool
    confidence: float
    decided: bool


def decide_direction(path: NDArray[np.floating], layout: Layout | None = None) -> Direction:
    """Judge whether a path runs forward in training time, by the weights and their layout alone.

    The reversed path gets the opposite verdict with the same confidence, bit for bit.

    Args:
        path: float[t, d], checkpoints in order up to reversal.
        layout: of the d weights; None takes them as one vector, and knows less.

    Returns:
        The verdict; undecided at confidence 0.5 for fewer than `LEAST_CHECKPOINTS` checkpoints, and where all are equal
        or in no order.
    """
    return decide_directions(path[None], layout)[0]


def decide_directions(paths: NDArray[np.floating], layout: Layout | None = None) -> list[Direction]:
    """Judge many paths of equal length at once, float[p, t, d], each as `decide_direction` does."""
    if paths.shape[1] < LEAST_CHECKPOINTS:
        return [Direction(forward=True, confidence=0.5, decided=False)] * len(paths)
    # Sums round differently the other way round, so each path is measured in the same of its two orders.
    backward = np.array([_descends(path[0], path[-1]) for path in paths], bool)
    if backward.all():
        oriented = paths[:, ::-1]
    else:
        oriented = np.where(backward[:, None, None], paths[:, ::-1], paths) if backward.any() else paths
    log_odds = np.where(backward, -1, 1) * direction_log_odds(oriented, layout)
    confidence = 1 / (1 + np.exp(-np.abs(log_odds)))
    return [
        Direction(forward=odds >= 0, confidence=sure, decided=sure >= DECIDED_FROM)
        for odds, sure in zip(log_odds.tolist(), confidence.tolist(), strict=True)
    ]


def direction_log_odds(paths: NDArray[np.floating], layout: Layout | None = None) -> NDArray[np.float64]:
    """Natural log-odds that paths run forward, 0 where their checkpoints are hardly in any order.

    Args:
        paths: float[p, t, d], t at least `LEAST_CHECKPOINTS`.
        layout: of the d weights, if known.

    Returns:
        float64[p].
    """
    cues = measure_cues(paths, layout)
    log_odds = np.zeros(len(paths))
    for name, (scale, weight, smooth_weight) in (WITHOUT_LAYOUT if layout is None else WITH_LAYOUT).items():
        log_odds += (weight + smooth_weight * cues.smoothness) * np.tanh(cues.values[name] / scale)
    return np.where(cues.order < LEAST_ORDER, 0.0, log_odds)


def _descends(first: NDArray[np.floating], last: NDArray[np.floating]) -> bool:
    """Whether the first checkpoint is the larger one, by the first weight in which they differ."""
    different = np.flatnonzero(first != last)[:1]
    return bool((first[different] > last[different]).any())
