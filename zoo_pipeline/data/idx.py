"""IDX files, the format of MNIST: a magic number, the sizes, then the bytes; plain or gzipped."""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.data.regular import check_regular
from zoo_pipeline.errors import DataError

_UNSIGNED_BYTE = 0x08
_MAX_VALUES = 1 << 28  # five times those of the largest file of MNIST


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes.

    Args:
        path: the file; gzipped if its name ends in .gz.
        dimensions: expected number of dimensions, 3 for images and 1 for labels.

    Returns:
        uint8 array of the sizes that the file declares.

    Raises:
        DataError: not an IDX file of unsigned bytes, wrong number of dimensions, truncated or too long.
    """
    header_bytes = 4 + 4 * dimensions
    try:
        check_regular(path)
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = file.read(header_bytes)
            sizes = _sizes(path, header, dimensions)
            values = file.read(prod(sizes) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; fetch the file again") from None
    if len(values) != prod(sizes):
        found = "more" if len(values) > prod(sizes) else f"only {len(values)}"
        raise DataError(f"{path}: declares {prod(sizes)} bytes of values, holds {found}; fetch the file again")
    return np.frombuffer(values, dtype=np.uint8).reshape(sizes)


def _sizes(path: Path, header: bytes, dimensions: int) -> tuple[int, ...]:
    expected = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if header[:4] != expected or len(header) != 4 + 4 * dimensions:
        raise DataError(
            f"{path}: starts with {header[:4].hex() or 'nothing'}, an IDX file of {dimensions} dimension(s) of "
            f"unsigned bytes with {expected.hex()}; fetch the file again"
        )
    sizes = tuple(int(size) for size in np.frombuffer(header[4:], dtype=">u4"))
    if (values := prod(size or 1 for size in sizes)) > _MAX_VALUES:  # a size of 0 does not excuse the others
        raise DataError(f"{path}: declares {values} values, more than {_MAX_VALUES}; fetch the file again")
    return sizes
