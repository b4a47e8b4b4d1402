"""Drift: what neighbours in a family share because they descend the same valley, taken out of their distances."""

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.ordering import euclidean_distances

Floats = NDArray[np.float64]

_DRIFT_LEFT = 0.2
_BANDWIDTHS_SEEN = 3.0
_BLOCK_ROWS = 256


def drift_free_squares(points: NDArray[np.floating], progress: Floats, bandwidth_rows: int) -> Floats:
    """Compute squared distances in which the common direction of travel counts for little.

    Two networks that train beside each other move alike, and their common step is longer than the distance between
    them: by plain distance a checkpoint's nearest neighbour is often on the other track. The common step is estimated
    at every point by a quadratic in progress, fitted locally to the whole family; of a difference's component along
    its first two derivatives only a fifth remains, enough to tell near from far along a track.

    Args:
        points: float[m, d], of one family.
        progress: float64[m], how far each has come, such as its distance from where the family began.
        bandwidth_rows: how many rows the Gaussian kernel's standard deviation reaches in progress.

    Returns:
        float64[m, m], not symmetric: [v, u] measures the difference of v and u with the drift at v taken out.
    """
    coordinates = isometric_coordinates(points)
    squares = np.square(euclidean_distances(points))
    for start in range(0, len(coordinates), _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, len(coordinates)))
        basis = drift_directions(coordinates, progress, bandwidth_rows, rows)
        along = basis @ coordinates.T - basis @ coordinates[rows, :, None]
        squares[rows] -= (1 - _DRIFT_LEFT**2) * np.square(along).sum(axis=1)
    np.maximum(squares, 0.0, out=squares)
    return squares


def drift_directions(coordinates: Floats, progress: Floats, bandwidth_rows: int, rows: NDArray[np.integer]) -> Floats:
    """Estimate where the whole family heads at some of its rows.

    Args:
        coordinates: float64[m, r].
        progress: float64[m], see `drift_free_squares`.
        bandwidth_rows: see `drift_free_squares`.
        rows: int[n].

    Returns:
        float64[n, 2, r], the first two derivatives by progress, made orthonormal; zero where there is no direction.
    """
    gaps = np.abs(progress[rows, None] - progress[None, :])
    reach = min(bandwidth_rows, len(progress) - 1)
    bandwidths = np.partition(gaps, reach, axis=1)[:, reach]
    offsets = progress[None, :] - progress[rows, None]
    operators = np.stack(
        [_derivatives(offset, float(width)) for offset, width in zip(offsets, bandwidths, strict=True)]
    )
    return _orthonormal(operators @ coordinates)


def isometric_coordinates(points: NDArray[np.floating]) -> Floats:
    """Turn m points into at most m coordinates with the same distances (classical scaling), float64[m, min(m, d)]."""
    centred: Floats = np.asarray(points, np.float64)
    centred = centred - centred.mean(axis=0)
    if centred.shape[1] <= len(centred):
        return centred
    values, vectors = np.linalg.eigh(centred @ centred.T)
    coordinates: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return coordinates


def _derivatives(offset: Floats, bandwidth: float) -> Floats:
    """Give the rows' weights in b and c of a + b·offset + c·offset², fitted under a Gaussian kernel, float64[2, m]."""
    weights = np.zeros((2, len(offset)))
    if bandwidth > 0:
        seen = np.abs(offset) <= _BANDWIDTHS_SEEN * bandwidth
        scaled = offset[seen] / bandwidth
        root_weight = np.exp(-0.25 * np.square(scaled))
        design = np.stack([np.ones_like(scaled), scaled, np.square(scaled)], axis=1)
        weights[:, seen] = (np.linalg.pinv(design * root_weight[:, None]) * root_weight)[1:]
    return weights


def _orthonormal(pairs: Floats) -> Floats:
    """Make every pair of vectors in float64[n, 2, r] orthonormal; one that has no direction of its own becomes zero."""
    first, second = pairs[:, 0], pairs[:, 1]
    scale = np.linalg.norm(pairs, axis=2).max(axis=1)
    first = _units(first, scale)
    second = _units(second - np.einsum("nr,nr->n", second, first)[:, None] * first, scale)
    return np.stack([first, second], axis=1)


def _units(vectors: Floats, scale: Floats) -> Floats:
    """Divide vectors by their norms; those short beside `scale` become zero."""
    norms = np.linalg.norm(vectors, axis=1)
    kept = norms > 1e-9 * scale
    units: Floats = np.where(kept, 1 / np.where(kept, norms, 1.0), 0.0)[:, None] * vectors
    return units
