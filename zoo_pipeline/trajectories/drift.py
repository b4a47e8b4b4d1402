"""Drift: what neighbours in a family share because they descend the same valley, taken out of their distances."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_DRIFT_LEFT = 0.2
_BANDWIDTHS_SEEN = 3.0


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
    m = len(coordinates)
    squares = np.empty((m, m))
    gaps = np.abs(progress[:, None] - progress[None, :])
    bandwidths = np.partition(gaps, min(bandwidth_rows, m - 1), axis=1)[:, min(bandwidth_rows, m - 1)]
    for v in range(m):
        difference = coordinates - coordinates[v]
        squares[v] = np.einsum("ij,ij->i", difference, difference)
        if bandwidths[v] > 0:
            tangents = _tangents(difference, (progress - progress[v]) / bandwidths[v])
            along = difference @ tangents
            squares[v] -= (1 - _DRIFT_LEFT**2) * np.einsum("ij,ij->i", along, along)
    np.maximum(squares, 0.0, out=squares)
    return squares


def isometric_coordinates(points: NDArray[np.floating]) -> Floats:
    """Turn m points into at most m coordinates with the same distances (classical scaling), float64[m, min(m, d)]."""
    centred = np.asarray(points, np.float64)
    centred = centred - centred.mean(axis=0)
    if centred.shape[1] <= len(centred):
        return centred
    values, vectors = np.linalg.eigh(centred @ centred.T)
    coordinates: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return coordinates


def _tangents(difference: Floats, offset: Floats) -> Floats:
    """Fit a + b·offset + c·offset² with Gaussian weights; return an orthonormal basis of b and c, float64[d, 2]."""
    seen = np.abs(offset) <= _BANDWIDTHS_SEEN
    offset, weight = offset[seen], np.exp(-0.25 * np.square(offset[seen]))
    design = np.stack([np.ones_like(offset), offset, np.square(offset)], axis=1)
    derivatives = (np.linalg.pinv(design * weight[:, None]) * weight)[1:] @ difference[seen]
    basis, triangle = np.linalg.qr(derivatives.T)
    lengths = np.abs(triangle.diagonal())
    kept: Floats = basis[:, lengths > 1e-9 * max(float(lengths.max()), 1e-300)]
    return kept
