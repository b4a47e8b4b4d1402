"""Geometry: how an ordered trajectory moves: step lengths, turning angles, curvature, straightness, smoothness."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """The geometry of one path of T checkpoints, or of many paths whose n checkpoints are listed together.

    Attributes:
        step_length: float64[T], ‖w_t − w_{t−1}‖; NaN at the first checkpoint.
        turning_angle: float64[T], angle in radians between the steps into and out of t; NaN at both ends and beside a
            step of length zero.
        curvature: float64[T], Menger curvature of (w_{t−1}, w_t, w_{t+1}) in 1/length, the inverse radius of the circle
            through the three; NaN where `turning_angle` is, and where w_{t−1} = w_{t+1}.
        arc_length: float64[T], sum of the steps up to t; 0 at the first.
        displacement: float64[T], ‖w_t − w_0‖; 0 at the first.
        straightness: float64 scalar, or float64[k] for k paths: displacement / arc length at the end; NaN where the
            arc length is 0.
        smoothness: likewise: mean cosine of consecutive steps; NaN where no turning angle is defined.
    """

    step_length: Floats
    turning_angle: Floats
    curvature: Floats
    arc_length: Floats
    displacement: Floats
    straightness: Floats
    smoothness: Floats


def path_geometry(path: NDArray[np.floating]) -> Geometry:
    """Describe one ordered path.

    The turning angle is 2·atan2(‖û − v̂‖, ‖û + v̂‖) of the unit steps (Kahan), accurate near 0 and π, where acos is not.
    The curvature 4·area / (product of the sides) is taken as 2·sin(turning angle) / ‖w_{t+1} − w_{t−1}‖: the same
    number, since area = ½·‖step_t‖·‖step_{t+1}‖·sin(turning angle), but without the cancellation that Heron's formula
    suffers on needle-shaped triangles, which small steps on a smooth path make.

    Args:
        path: float[T, d] with T ≥ 1, in order; promoted to float64.

    Returns:
        Arrays of length T; `straightness` and `smoothness` of shape ().

    Example:
        >>> path_geometry(np.array([[0, 0], [1, 0], [1, 1]])).turning_angle.round(3).tolist()
        [nan, 1.571, nan]
    """
    points = np.asarray(path, np.float64)
    steps = np.diff(points, axis=0)
    lengths = _lengths(steps)
    units = np.divide(steps, lengths[:, None], out=np.full_like(steps, np.nan), where=lengths[:, None] > 0)
    angle = 2 * np.arctan2(_lengths(units[1:] - units[:-1]), _lengths(units[1:] + units[:-1]))
    chord = _lengths(points[2:] - points[:-2])
    curvature = np.divide(2 * np.sin(angle), chord, out=np.full_like(chord, np.nan), where=chord > 0)
    arc_length = np.concatenate([[0.0], np.cumsum(lengths)])
    displacement = _lengths(points - points[0])
    turns = angle[np.isfinite(angle)]
    return Geometry(
        step_length=np.concatenate([[np.nan], lengths]),
        turning_angle=_inner(angle, len(points)),
        curvature=_inner(curvature, len(points)),
        arc_length=arc_length,
        displacement=displacement,
        straightness=np.asarray(displacement[-1] / arc_length[-1] if arc_length[-1] > 0 else np.nan),
        smoothness=np.asarray(np.cos(turns).mean() if len(turns) else np.nan),
    )


def bag_geometry(
    weights: NDArray[np.float32], trajectory: NDArray[np.integer], position: NDArray[np.integer]
) -> Geometry:
    """Describe every trajectory of a bag, each along its positions; only one at a time is promoted to float64.

    Args:
        weights: float32[n, d].
        trajectory: int[n], numbered from 0; −1 for rows left out, whose geometry is NaN.
        position: int[n], 0-based along the trajectory.

    Returns:
        Arrays aligned with the rows; `straightness` and `smoothness` of shape [k], k = largest trajectory number + 1.
    """
    n, k = len(weights), int(trajectory.max(initial=-1)) + 1
    step_length, turning_angle, curvature, arc_length, displacement = np.full((5, n), np.nan)
    straightness, smoothness = np.full((2, k), np.nan)
    rows = np.lexsort((position, trajectory))
    bounds = np.searchsorted(trajectory[rows], np.arange(k + 1))
    for number in range(k):
        members = rows[bounds[number] : bounds[number + 1]]
        if len(members) == 0:
            continue
        path = path_geometry(weights[members])
        step_length[members] = path.step_length
        turning_angle[members] = path.turning_angle
        curvature[members] = path.curvature
        arc_length[members] = path.arc_length
        displacement[members] = path.displacement
        straightness[number] = path.straightness
        smoothness[number] = path.smoothness
    return Geometry(step_length, turning_angle, curvature, arc_length, displacement, straightness, smoothness)


def _lengths(rows: Floats) -> Floats:
    """Euclidean lengths of rows, float64[n]."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", rows, rows)))


def _inner(values: Floats, n: int) -> Floats:
    """Place values of the n − 2 inner checkpoints; the ends are NaN."""
    result = np.full(n, np.nan)
    result[1:-1] = values
    return result
