"""Magnitudes: rows whose products float32 cannot hold, brought to where it can."""

import numpy as np
from numpy.typing import NDArray

# Largest entries within these powers of 2 leave room for the fourth powers of a billion entries.
_LEAST, _MOST = -16, 16


def in_range(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Divide very large and very small rows by a power of two, which changes no direction.

    A model that is about to diverge has weights whose squares float32 cannot hold, long before they are infinite.

    Args:
        weights: float32[n, d], all finite.

    Returns:
        float32[n, d]: the same array where no row is out of range, as ordinary networks' are not. Of a row that is, the
        largest entry comes to lie between ½ and 1.

    Example:
        >>> in_range(np.array([[3e30, -1e30], [1, 2], [0, 0]], np.float32)).round(2).tolist()
        [[0.5899999737739563, -0.20000000298023224], [1.0, 2.0], [0.0, 0.0]]
    """
    largest = np.maximum(weights.max(axis=1, initial=0), -weights.min(axis=1, initial=0))
    exponent = np.frexp(largest)[1]
    out = (largest > 0) & ((exponent < _LEAST) | (exponent > _MOST))
    if not out.any():
        return weights
    scaled = weights.copy()
    scaled[out] = np.ldexp(weights[out], -exponent[out, None])
    return scaled
