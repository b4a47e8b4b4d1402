"""Content: an order of the rows that depends on what they hold, never on where they stand."""

import numpy as np
from numpy.typing import NDArray


def canonical_order(weights: NDArray[np.float32]) -> NDArray[np.int64]:
    """Sort the rows by their bytes.

    The order has no meaning in weight space; it only has to be the same however the rows were shuffled, so that every
    later tie is broken by content. Equal rows are interchangeable.

    Args:
        weights: float32[n, d] with d ≥ 1.

    Returns:
        int64[n], such that `weights[order]` is the same array for every shuffle of the rows.
    """
    return np.argsort(_row_bytes(weights), kind="stable")


def content_numbers(rows: NDArray[np.float32]) -> NDArray[np.int32]:
    """Number the distinct contents of rows in canonical order: equal rows share a number.

    Args:
        rows: float32[n, d], sorted by `canonical_order`.

    Returns:
        int32[n], ascending from 0.
    """
    content = _row_bytes(rows)
    numbers = np.zeros(len(rows), np.int32)
    np.cumsum(content[1:] != content[:-1], out=numbers[1:])
    return numbers


def _row_bytes(weights: NDArray[np.float32]) -> NDArray[np.void]:
    """View every row as one opaque value; numpy compares these byte by byte. −0.0 becomes the 0.0 that it equals."""
    rows = np.ascontiguousarray(weights) + np.float32(0)
    return rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize))).reshape(len(rows))
