"""Images and labels as they are found, before they become a `Dataset`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import DataError

MOST_BYTES = 16 << 30  # of all images of a split as float32
TRAIN_SHARE = 0.8  # where the data do not say what is for training
_CHANNELS = (1, 3)


@dataclass(frozen=True)
class Rows:
    """One split of a dataset.

    Attributes:
        images: uint8 or float32[n, channels, height, width].
        labels: integers or text[n].
    """

    images: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[Any]

    def __getitem__(self, chosen: NDArray[Any]) -> Self:
        """The rows of an index or a mask."""
        return type(self)(self.images[chosen], self.labels[chosen])

    def split(self) -> tuple[Self, Self]:
        """Four fifths for training and the others, at least one, for testing.

        Images go by the hash of their pixels, so that neither file names nor the order of rows matter, and copies of
        one image end up side by side.
        """
        hashes = [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in self.images]
        order = np.array(sorted(range(len(hashes)), key=hashes.__getitem__), dtype=np.int64)
        train_rows = min(round(TRAIN_SHARE * len(order)), len(order) - 1)
        return self[order[:train_rows]], self[order[train_rows:]]


def check_size(where: object, shape: Sequence[int]) -> None:
    """Refuse images that would not fit in memory, before they are read.

    Raises:
        DataError: more than `MOST_BYTES` as float32.
    """
    size = 4 * prod(shape)
    if size > MOST_BYTES:
        raise DataError(
            f"{where}: images of shape {'×'.join(map(str, shape))} take {size:,} bytes as float32, more than the "
            f"{MOST_BYTES:,} that are held in memory; use fewer or smaller images"
        )


def pixels(where: object, values: NDArray[Any]) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Images with the channels first, as bytes where they are whole numbers from 0 to 255, else as float32.

    Three dimensions are rows, height, width. Of four, the one of size 1 or 3 is the channels: the second or the last.

    Args:
        where: the file and array, for errors.
        values: numbers[n, height, width], [n, channels, height, width] or [n, height, width, channels].

    Returns:
        uint8 or float32[n, channels, height, width].

    Raises:
        DataError: another shape, one that can be read both ways, or values that are no pixels.
    """
    return _bytes_or_floats(where, _channels_first(where, values))


def _channels_first(where: object, values: NDArray[Any]) -> NDArray[Any]:
    shown = "×".join(map(str, values.shape))
    if values.ndim == 3:
        return values[:, None]
    if values.ndim != 4:
        raise DataError(
            f"{where}: has shape {shown}, expected rows × height × width, or four dimensions with 1 or 3 channels; "
            f"reshape it"
        )
    first, last = values.shape[1] in _CHANNELS, values.shape[3] in _CHANNELS
    if first == last:
        reason = "both the second and the last dimension" if first else "neither the second nor the last dimension"
        raise DataError(
            f"{where}: has shape {shown}, of which {reason} can be the channels; expected exactly one of size 1 or 3; "
            f"reshape it, leaving out a single channel"
        )
    return values if first else values.transpose(0, 3, 1, 2)


def _bytes_or_floats(where: object, values: NDArray[Any]) -> NDArray[np.uint8] | NDArray[np.float32]:
    if not values.size:
        raise DataError(f"{where}: has shape {'×'.join(map(str, values.shape))}, which is empty; expected images")
    if np.issubdtype(values.dtype, np.integer):
        low, high = values.min(), values.max()
        if low < 0 or high > 255:
            raise DataError(
                f"{where}: holds whole numbers from {low} to {high}, expected 0 to 255; convert them to float32"
            )
        return values.astype(np.uint8)
    if not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"{where}: holds {values.dtype}, expected bytes or floats; convert it")
    with np.errstate(over="ignore"):  # what overflows float32 is refused as infinite
        floats = values.astype(np.float32)
    if not np.isfinite(floats).all():
        raise DataError(f"{where}: holds values that are not finite in float32; remove or replace them")
    return floats
