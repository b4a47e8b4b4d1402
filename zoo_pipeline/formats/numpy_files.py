"""NumPy's .npy and .npz; pickled objects in them are never loaded."""

import io
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.formats.archive import ZipArchive
from zoo_pipeline.formats.elements import ITEM_BYTES, MOST_AXES, float32_values
from zoo_pipeline.formats.state import Described, FileRefused, OpenFile, TensorEntry

MAGIC = b"\x93NUMPY"
ALONE = "weights"  # the name of an array that has none
_HEADER_BYTES = 10_000
_BEGINNING = _HEADER_BYTES + 12  # with the header


@lru_cache(256)
def _header(begin: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran's order, dtype, and bytes of the header."""
    file = io.BytesIO(begin)
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, fortran, dtype = read(file, max_header_size=_HEADER_BYTES)
    return shape, fortran, dtype, file.tell()


def open_npy(view: memoryview) -> OpenFile:
    """One array, which is named "weights"."""
    entry, start, big_endian = _array(bytes(view[:_BEGINNING]), ALONE, len(view))

    def values(entry: TensorEntry) -> NDArray[np.float32]:
        return float32_values(view, start, entry.shape, entry.kind, entry.name, entry.strides, big_endian)

    return OpenFile(Described((entry,)), values)


def open_npz(archive: ZipArchive) -> OpenFile:
    """Arrays by their names.

    Raises:
        FileRefused: whatever is wrong with it.
    """
    names = [name for name in archive.directory.records if name.endswith(".npy")]
    if not names:
        raise FileRefused("not a checkpoint: a zip archive without data.pkl or arrays")
    others = {name: "no array" for name in archive.directory.records if not name.endswith(".npy")}
    arrays = {
        name: _array(
            archive.beginning(name, _BEGINNING), name.removesuffix(".npy"), archive.directory.records[name].size
        )
        for name in names
    }

    def values(entry: TensorEntry) -> NDArray[np.float32]:
        _, start, big_endian = arrays[f"{entry.name}.npy"]
        content = archive.content(f"{entry.name}.npy")
        return float32_values(content, start, entry.shape, entry.kind, entry.name, entry.strides, big_endian)

    return OpenFile(Described(tuple(entry for entry, _, _ in arrays.values()), others), values)


def _array(beginning: bytes, name: str, size: int) -> tuple[TensorEntry, int, bool]:
    """An array's description, where its values begin, and whether they are big-endian."""
    length = int.from_bytes(beginning[8:10], "little") + 10 if beginning[6:7] == b"\x01" else _BEGINNING
    try:
        shape, fortran, dtype, start = _header(beginning[:length])
    except Exception as error:  # NumPy's parser lets through a dozen kinds of Python's own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FileRefused(f"truncated: array {name} has no header that can be read ({reason})") from None
    kind = _kind(dtype)
    if len(shape) > MOST_AXES or any(type(size) is not int or size < 0 for size in shape):
        raise FileRefused(f"damaged: array {name} has no sane shape")
    item_bytes: int = dtype.itemsize
    if kind in ITEM_BYTES and size - start < prod(shape) * item_bytes:
        raise FileRefused(f"truncated: array {name} has fewer bytes than its shape {shape} takes")
    strides = None
    if fortran and len(shape) > 1 and 0 not in shape:
        strides = tuple(prod(shape[:axis]) for axis in range(len(shape)))
    return TensorEntry(name, shape, kind, name, 0, strides), start, dtype.newbyteorder("=") != dtype


def _kind(dtype: np.dtype[Any]) -> str:
    if dtype.hasobject:
        return "object"
    if dtype.kind in "US":
        return "text"
    return "structured" if dtype.kind == "V" else dtype.name
