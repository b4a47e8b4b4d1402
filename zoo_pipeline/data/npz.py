"""Datasets in one .npz file, as `numpy.savez` writes them."""

import zipfile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.data.rows import Rows, check_size, pixels
from zoo_pipeline.errors import DataError

ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def read_npz(path: Path) -> tuple[Rows, Rows]:
    """Read the arrays train_images, train_labels, test_images and test_labels.

    Returns:
        The rows for training and for testing.

    Raises:
        DataError: not such a file, an array missing, pickled, damaged or too large, or one that holds no images.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {name: _read(path, archive, name) for name in ARRAYS}
    except DataError:
        raise
    except Exception as error:  # zipfile, the decompressors and NumPy's parser of headers raise a dozen kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: cannot be read as .npz: {reason}; write it anew with numpy.savez") from error
    train, test = (
        Rows(pixels(f"{path}: {part}_images", arrays[f"{part}_images"]), arrays[f"{part}_labels"])
        for part in ("train", "test")
    )
    return train, test


def _read(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """One array, after its header has been looked at; pickled objects are never loaded."""
    member = f"{name}.npy"
    if member not in archive.namelist():
        found = ", ".join(entry.removesuffix(".npy") for entry in archive.namelist()) or "nothing"
        raise DataError(f"{path}: {name} is missing; expected {', '.join(ARRAYS)}, found {found}")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    if dtype.hasobject:
        raise DataError(f"{path}: {name} holds pickled objects, which are not read; convert it to numbers or text")
    check_size(f"{path}: {name}", shape)
    size = archive.getinfo(member).file_size
    if not 0 <= prod(shape) * dtype.itemsize <= size:  # before so much is allocated
        raise ValueError(f"{name} declares shape {shape} of {dtype}, but has {size:,} bytes")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
