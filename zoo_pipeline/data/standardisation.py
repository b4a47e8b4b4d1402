"""Pixels scaled by the mean and standard deviation of the training images."""

from collections.abc import Sequence
from math import sqrt  # rounded exactly everywhere, which ** 0.5 is not

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.float32]
_CHUNK_ROWS = 1_024  # converted to float64 at a time


def standardised(train: Pixels, test: Pixels) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Subtract the training images' mean and divide by their standard deviation, channel by channel.

    A channel that is the same everywhere is only shifted. Moments are computed in float64. Those of bytes come from
    counts, so they are exact, and the same on every machine. Bytes are scaled to 0..1 first; the result is the same.

    Args:
        train: uint8 or float32[n, channels, height, width].
        test: the same type, float32 or uint8[m, channels, height, width].

    Returns:
        train and test as float32 of the same shapes.
    """
    channels = range(train.shape[1])
    if train.dtype == np.uint8 and test.dtype == np.uint8:
        tables = [_table(train[:, channel]) for channel in channels]
        return _looked_up(train, tables), _looked_up(test, tables)
    moments = [_moments(train[:, channel]) for channel in channels]
    return _scaled(train, moments), _scaled(test, moments)


def _table(channel: Pixels) -> NDArray[np.float32]:
    """float32[256]: what each byte becomes."""
    counts = [0] * 256
    for start in range(0, len(channel), _CHUNK_ROWS):
        found = np.bincount(channel[start : start + _CHUNK_ROWS].ravel(), minlength=256)
        counts = [count + int(more) for count, more in zip(counts, found, strict=True)]
    number = sum(counts)
    total = sum(value * count for value, count in enumerate(counts))
    squares = sum(value * value * count for value, count in enumerate(counts))
    mean = total / number / 255
    deviation = sqrt(number * squares - total * total) / number / 255 or 1.0
    return ((np.arange(256) / 255 - mean) / deviation).astype(np.float32)


def _looked_up(images: Pixels, tables: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    result = np.empty(images.shape, np.float32)
    for channel, table in enumerate(tables):
        result[:, channel] = table[images[:, channel]]
    return result


def _moments(channel: Pixels) -> tuple[float, float]:
    """Mean and standard deviation (1 where all are the same), in two passes."""
    if channel.min() == channel.max():
        return float(channel.flat[0]), 1.0
    chunks = [channel[start : start + _CHUNK_ROWS] for start in range(0, len(channel), _CHUNK_ROWS)]
    mean = sum(float(chunk.sum(dtype=np.float64)) for chunk in chunks) / channel.size
    squares = sum(float(np.square(chunk.astype(np.float64) - mean).sum()) for chunk in chunks)
    return mean, sqrt(squares / channel.size)


def _scaled(images: Pixels, moments: Sequence[tuple[float, float]]) -> NDArray[np.float32]:
    result = np.empty(images.shape, np.float32)
    for channel, (mean, deviation) in enumerate(moments):
        for start in range(0, len(images), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            result[part, channel] = (images[part, channel].astype(np.float64) - mean) / deviation
    return result
