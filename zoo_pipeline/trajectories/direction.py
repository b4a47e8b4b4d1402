"""Direction: which end of an ordered trajectory came first."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, tanh

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout

DECIDED_FROM = 0.8
LEAST_CHECKPOINTS = 3
_SMALLEST_TENSOR = 16


@dataclass(frozen=True)
class DirectionCues:
    """What speaks for the given order being forward (positive) or backward (negative).

    Each is the logarithm of a ratio between the two ends (a third of the trajectory each) and changes its sign when the
    trajectory is reversed.

    Attributes:
        step_trend: steps shrink. Right on nearly all whole runs; can be a coin toss on the last epochs alone.
        norm_growth: ‖w‖ grows. Right on any part of a run without weight decay; fails under regularisation.
        kurtosis_growth: the weights inside each tensor grow heavier tails. Right for Adam, unreliable for SGD.
    """

    step_trend: float
    norm_growth: float
    kurtosis_growth: float

    @property
    def log_odds(self) -> float:
        """Natural log-odds that the given order is forward.

        Each cue saturates, so that none outweighs the others without limit: a clear step trend beats a clear norm, a
        clear norm beats a faint step trend, kurtosis only nudges. The scales and weights are set by hand, not fitted.
        """
        return (
            4.0 * tanh(self.step_trend / 0.7)
            + 2.0 * tanh(self.norm_growth / 0.02)
            + 0.5 * tanh(self.kurtosis_growth / 0.1)
        )


@dataclass(frozen=True)
class Direction:
    """A verdict on which end came first.

    Attributes:
        forward: whether the given order is the likelier one.
        confidence: probability of the likelier order, in [0.5, 1], by hand-set odds; not calibrated.
        decided: whether the confidence reaches `DECIDED_FROM`.
    """

    forward: bool
    confidence: float
    decided: bool


def decide_direction(path: NDArray[np.floating], layout: Layout | None = None) -> Direction:
    """Judge whether a path runs forward in training time, by the weights alone.

    Args:
        path: float[T, d], checkpoints in order up to reversal.
        layout: of the weights; None takes the whole vector as one tensor.

    Returns:
        The verdict; undecided at confidence 0.5 for fewer than `LEAST_CHECKPOINTS` checkpoints.
    """
    if len(path) < LEAST_CHECKPOINTS:
        return Direction(forward=True, confidence=0.5, decided=False)
    tensors = None if layout is None else [tensor.slice for tensor in layout.tensors]
    log_odds = direction_cues(path, tensors).log_odds
    confidence = 1 / (1 + exp(-abs(log_odds)))
    return Direction(forward=log_odds >= 0, confidence=confidence, decided=confidence >= DECIDED_FROM)


def direction_cues(path: NDArray[np.floating], tensors: Sequence[slice] | None = None) -> DirectionCues:
    """Measure the cues on a path of at least `LEAST_CHECKPOINTS` checkpoints.

    Args:
        path: float[T, d].
        tensors: which columns are which tensor; those of fewer than 16 weights are left out of the kurtosis.

    Returns:
        The cues; one without any evidence is 0.
    """
    points = np.asarray(path, np.float64)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    norms = np.linalg.norm(points, axis=1)
    growths = [
        _growth(_kurtosis(points[:, columns]))
        for columns in (tensors if tensors is not None else [slice(None)])
        if points[:, columns].shape[1] >= _SMALLEST_TENSOR
    ]
    return DirectionCues(
        step_trend=-_growth(steps),
        norm_growth=_growth(norms),
        kurtosis_growth=float(np.mean(growths)) if growths else 0.0,
    )


def _growth(values: NDArray[np.float64]) -> float:
    """Log-ratio of the mean over the last third to the mean over the first; at most a factor of a million counts."""
    third = max(1, len(values) // 3)
    first, last = float(values[:third].mean()), float(values[-third:].mean())
    floor = 1e-6 * max(first, last)
    return log(max(last, floor) / max(first, floor)) if floor > 0 else 0.0


def _kurtosis(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson kurtosis of every row, 3 for normal weights; 1, its least value, for a constant row."""
    centred = values - values.mean(axis=1, keepdims=True)
    squares = np.square(centred, out=centred)
    variance = squares.mean(axis=1)
    fourth = np.square(squares).mean(axis=1)
    kurtosis: NDArray[np.float64] = np.ones_like(variance)
    np.divide(fourth, np.square(variance), out=kurtosis, where=variance > 0)
    return kurtosis
