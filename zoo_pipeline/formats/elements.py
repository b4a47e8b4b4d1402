"""The elements of tensors: their kinds, and how they become float32."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.formats.state import FileRefused

Buffer = bytes | memoryview
MOST_AXES = 64  # that NumPy can have

ITEM_BYTES = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}  # of the kinds that can be parameters
_STORED = {
    (kind, big): np.dtype("u2" if kind == "bfloat16" else f"f{size}").newbyteorder(">" if big else "<")
    for kind, size in ITEM_BYTES.items()
    for big in (False, True)
}
_FLOAT32 = np.dtype(np.float32)


def float32_values(
    buffer: Buffer,
    start: int,
    shape: tuple[int, ...],
    kind: str,
    name: str,
    strides: tuple[int, ...] | None = None,
    big_endian: bool = False,
) -> NDArray[np.float32]:
    """A tensor's values in C order; a view of the buffer where it has them as float32 in C order.

    Args:
        buffer: that holds them; the caller has checked that it reaches far enough.
        start: their first byte.
        shape: of the tensor.
        kind: of its elements, one of `ITEM_BYTES`.
        name: for messages.
        strides: in elements; None in C order.
        big_endian: whether the elements are stored so.

    Raises:
        FileRefused: a finite float64 that float32 has no number for.
    """
    stored = _STORED[kind, big_endian]
    steps = None if strides is None else tuple(stride * stored.itemsize for stride in strides)
    found: NDArray[Any] = np.ndarray(shape, stored, buffer, start, steps)
    if kind == "bfloat16":
        return np.left_shift(found.astype(np.uint32, order="C"), 16).view(_FLOAT32)
    if kind == "float32" and not big_endian and strides is None and found.flags.aligned:
        return found
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(found, _FLOAT32, order="C")
    if kind == "float64" and np.isinf(values).sum() != np.isinf(found).sum():
        raise FileRefused(f"out of range: float64 tensor {name} holds finite values that float32 has no number for")
    return values


def c_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether strides (in elements) are those of C order, as far as they matter.

    >>> c_order((2, 1, 3), (3, 7, 1)), c_order((2, 3), (1, 2))
    (True, False)
    """
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def elements_reached(shape: tuple[int, ...], strides: tuple[int, ...] | None) -> int:
    """How many elements from its first one a tensor reaches, the first included; 0 where it has none."""
    if not prod(shape):
        return 0
    if strides is None:
        return prod(shape)
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
