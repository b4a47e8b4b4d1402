"""Direction cues: what in a path of weights tells its earlier end from its later one.

An initialisation is drawn entry by entry; training then builds structure into it, in steps that head for a goal and
become shorter on the way. Every cue changes its sign when the path is reversed, and stays as it is when all weights
are scaled alike. `direction` says what each is worth.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout, TensorSlice

Array = NDArray[np.float64]

LEAST_CHECKPOINTS = 3
_BLOCK = 1 << 17  # weights at once: what stays in a core's cache, and a large network's path is never copied whole
_SMALLEST_TENSOR = 16  # entries it takes to speak of the largest among them
_FLOOR = 1e-6  # a ratio beyond this counts as this
_COMMON_FLOOR = 1e-6  # share of the outputs' common part below which it is rounding
_STILL = 1e-12  # relative spread below which a series has no trend


@dataclass(frozen=True)
class DirectionCues:
    """The cues of p paths.

    Attributes:
        values: float64[p] by the cue's name; 0 where a path gives no evidence.
        smoothness: mean cosine of consecutive steps, float64[p]; the same both ways.
        order: how steadily checkpoints leave the first and approach the last, the mean of the two correlations of
            distance with time, float64[p]; the same both ways, near 1 on a path and near 0 on shuffled checkpoints.
    """

    values: Mapping[str, Array]
    smoothness: Array
    order: Array


def measure_cues(paths: NDArray[np.floating], layout: Layout | None = None) -> DirectionCues:
    """Measure the cues of paths of equal length, in float64.

    On the whole vector: `step_trend`, `step_ratio`: steps shrink. `concavity`: the distance from the first checkpoint
    saturates, that from the last does not. `straightening`: the first half is straighter than the second.
    `step_tails`: steps come to concentrate on few weights. `outward`, `norm_growth`: ‖w‖ grows, compared with the
    steps and with itself.

    On tensors, the mean over them: `peak_growth`: max|w| grows beyond the root mean square, which a fresh draw bounds.
    `spread_growth`, `spread_trend`: biases spread; they start small or alike. Without a layout the whole vector is the
    one tensor and stands for the biases.

    With a layout alone: `common_loss`: the last matrix loses what its outputs have in common; a softmax is blind to
    it, so it never grows by gradient descent, while the rest does and weight decay eats it. `neighbours`: weights of
    inputs that lie side by side become alike in the first matrix or kernel.

    Args:
        paths: float[p, t, d], t at least `LEAST_CHECKPOINTS`.
        layout: of the d weights; None takes them as one vector.

    Returns:
        The cues.
    """
    whole, smoothness, order = _whole_cues(paths)
    tensors = (TensorSlice("weights", paths.shape[2:], 0),) if layout is None else layout.tensors
    matrices = _matrix_cues(paths, layout) if layout else {}
    return DirectionCues(whole | _tensor_cues(paths, tensors) | matrices, smoothness, order)


def _whole_cues(paths: NDArray[np.floating]) -> tuple[dict[str, Array], Array, Array]:
    """The cues on the whole vector, the smoothness and the order."""
    models, checkpoints, dimension = paths.shape
    squares, from_first, from_last = np.zeros((3, models, checkpoints))
    steps, fourths = np.zeros((2, models, checkpoints - 1))
    products = np.zeros((models, checkpoints - 2))
    columns = max(1, _BLOCK // (models * checkpoints))
    for start in range(0, dimension, columns):
        part = paths[:, :, start : start + columns].astype(np.float64)
        squares += _inner(part, part)
        for distance, end in ((from_first, part[:, :1]), (from_last, part[:, -1:])):
            away = part - end
            distance += _inner(away, away)
        step = np.diff(part, axis=1)
        products += _inner(step[:, 1:], step[:, :-1])
        np.square(step, out=step)
        steps += step.sum(axis=2)
        fourths += _inner(step, step)
    norm, length, from_first, from_last = (np.sqrt(square) for square in (squares, steps, from_first, from_last))

    half = (checkpoints - 1) // 2
    first = _ratio(from_first[:, half], length[:, :half].sum(axis=1))
    second = _ratio(from_last[:, -1 - half], length[:, -half:].sum(axis=1))
    radial = _ratio(np.diff(squares, axis=1), length * (norm[:, 1:] + norm[:, :-1]))
    # A standard error, and a share of the mean that bounds the cue where the steps agree.
    error = radial.std(axis=1) / np.sqrt(checkpoints - 1) + 0.02 * np.abs(radial).mean(axis=1)
    cues = {
        "step_trend": -_trend(length),
        "step_ratio": -_growth(length),
        "concavity": _ratio((from_first - from_last).mean(axis=1), from_first[:, -1]),
        "straightening": first - second,
        "step_tails": _trend(_ratio(fourths, np.square(steps))),
        "outward": _ratio(radial.mean(axis=1), error),
        "norm_growth": _growth(norm),
    }
    smoothness = np.asarray(_ratio(products, length[:, 1:] * length[:, :-1]).mean(axis=1))
    return cues, smoothness, (_trend(from_first) - _trend(from_last)) / 2


def _tensor_cues(paths: NDArray[np.floating], tensors: tuple[TensorSlice, ...]) -> dict[str, Array]:
    """The cues that are means over tensors."""
    peaks, spreads = [], []
    for tensor in tensors:
        if len(tensor.shape) == 1:
            spreads.append(paths[:, :, tensor.slice].std(axis=2, dtype=np.float64))
        if tensor.size >= _SMALLEST_TENSOR:
            ends = paths[:, [0, -1], tensor.slice].astype(np.float64)
            peak = _ratio(np.abs(ends).max(axis=2), np.sqrt(_inner(ends, ends) / tensor.size))
            peaks.append(_log_ratio(peak[:, 1], peak[:, 0]))
    return {
        "peak_growth": _mean(peaks, len(paths)),
        "spread_growth": _mean([_growth(spread) for spread in spreads], len(paths)),
        "spread_trend": _mean([_trend(spread) for spread in spreads], len(paths)),
    }


def _matrix_cues(paths: NDArray[np.floating], layout: Layout) -> dict[str, Array]:
    """The cues on the first and the last matrix; a kernel is a matrix of outputs by all the rest."""
    matrices = [tensor for tensor in layout.tensors if len(tensor.shape) > 1]
    if not matrices:
        return {"common_loss": np.zeros(len(paths)), "neighbours": np.zeros(len(paths))}
    last = _entries(paths, matrices[-1])
    outputs = last.sum(axis=2)
    shared = _ratio(_inner(outputs, outputs), last.shape[2] * np.square(last).sum(axis=(2, 3)))

    first = _entries(paths, matrices[0]).reshape(*paths.shape[:2], -1, matrices[0].shape[-1])
    first = first - first.mean(axis=(2, 3), keepdims=True)
    alike = np.einsum("ptri,ptri->pt", first[..., 1:], first[..., :-1])
    return {
        "common_loss": -_growth(shared + _COMMON_FLOOR),
        "neighbours": _trend(_ratio(alike, np.einsum("ptri,ptri->pt", first, first))),
    }


def _entries(paths: NDArray[np.floating], tensor: TensorSlice) -> Array:
    """One tensor as float64[p, t, outputs, inputs]."""
    return paths[:, :, tensor.slice].astype(np.float64).reshape(*paths.shape[:2], tensor.shape[0], -1)


def _inner(left: Array, right: Array) -> Array:
    """Inner products over the last axis."""
    return np.asarray(np.einsum("pti,pti->pt", left, right))


def _trend(series: Array) -> Array:
    """Correlation of each series, float64[p, t], with time; 0 where it stands still."""
    time = np.arange(series.shape[1]) - (series.shape[1] - 1) / 2
    centred = series - series.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.square(centred).sum(axis=1))
    spread[spread <= _STILL * np.abs(series).max(axis=1)] = 0.0
    return _ratio(centred @ time, spread * np.sqrt(time @ time))


def _growth(series: Array) -> Array:
    """Log-ratio of the mean over the last third of each series to the mean over the first."""
    third = max(1, series.shape[1] // 3)
    return _log_ratio(series[:, -third:].mean(axis=1), series[:, :third].mean(axis=1))


def _log_ratio(over: Array, under: Array) -> Array:
    """Logarithm of the ratio of values that are not negative; 0 where both are 0."""
    floor = _FLOOR * np.maximum(over, under)
    floor[floor == 0] = 1.0
    return np.asarray(np.log(np.maximum(over, floor) / np.maximum(under, floor)))


def _ratio(over: Array, under: Array) -> Array:
    """The quotient; 0 where there is none."""
    return np.divide(over, under, out=np.zeros_like(over), where=under > 0)


def _mean(cues: list[Array], models: int) -> Array:
    """Mean over the tensors; 0 where none has this cue."""
    return np.mean(cues, axis=0) if cues else np.zeros(models)
