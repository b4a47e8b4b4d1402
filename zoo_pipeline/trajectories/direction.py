"""Direction: which end of an ordered trajectory came first."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.direction_cues import LEAST_CHECKPOINTS, measure_cues

DECIDED_FROM = 0.9


class CueWeight(NamedTuple):
    """What one cue adds to the log-odds: (weight + smooth_weight · smoothness) · tanh(cue / scale)."""

    scale: float
    weight: float
    smooth_weight: float


# Fitted by `python -m benchmarks.fit_direction` on six tenths of its configurations, scored on others; frozen.
WITH_LAYOUT: Mapping[str, CueWeight] = {
    "step_trend": CueWeight(1.71, 1.378, 1.894),
    "step_ratio": CueWeight(1.51, 1.782, -0.176),
    "concavity": CueWeight(0.345, 2.379, 0.3579),
    "straightening": CueWeight(0.0643, 0.6381, -0.04901),
    "step_tails": CueWeight(1.23, 1.065, -0.7403),
    "outward": CueWeight(21, 2.94, -4.284),
    "norm_growth": CueWeight(0.158, 1.902, -0.4675),
    "peak_growth": CueWeight(0.197, 1.877, 4.857),
    "spread_growth": CueWeight(0.179, 0.6951, 2.879),
    "spread_trend": CueWeight(1.37, 1.463, -1.726),
    "common_loss": CueWeight(0.264, 2.378, 2.164),
    "neighbours": CueWeight(1.85, -0.05452, 2.046),
}
WITHOUT_LAYOUT: Mapping[str, CueWeight] = {
    "step_trend": CueWeight(1.71, 1.944, 2.095),
    "step_ratio": CueWeight(1.51, 2.427, -2.158),
    "concavity": CueWeight(0.345, 2.888, 0.9408),
    "straightening": CueWeight(0.0643, 0.7602, -1.656),
    "step_tails": CueWeight(1.23, 0.9684, -0.2178),
    "outward": CueWeight(21, 1.239, -3.54),
    "norm_growth": CueWeight(0.158, -0.8372, -0.9032),
    "peak_growth": CueWeight(0.124, 0.7187, 3.249),
    "spread_growth": CueWeight(0.167, 2.745, 1.766),
    "spread_trend": CueWeight(1.92, 2.819, 0.3036),
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
        The verdict; undecided at confidence 0.5 for fewer than `LEAST_CHECKPOINTS` checkpoints, or where all are equal.
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
    """Natural log-odds float64[p] that paths float[p, t, d] of `LEAST_CHECKPOINTS` or more checkpoints run forward."""
    cues = measure_cues(paths, layout)
    log_odds = np.zeros(len(paths))
    for name, (scale, weight, smooth_weight) in (WITHOUT_LAYOUT if layout is None else WITH_LAYOUT).items():
        log_odds += (weight + smooth_weight * cues.smoothness) * np.tanh(cues.values[name] / scale)
    return log_odds


def _descends(first: NDArray[np.floating], last: NDArray[np.floating]) -> bool:
    """Whether the first checkpoint is the larger one, by the first weight in which they differ."""
    different = np.flatnonzero(first != last)[:1]
    return bool((first[different] > last[different]).any())
