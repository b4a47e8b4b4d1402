"""Datasets of one's own, by path: .npz, Parquet, or a folder of images."""

import re
from pathlib import Path

from zoo_pipeline.counts import plural
from zoo_pipeline.data.built_in import BUILT_IN
from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.data.folder import read_folder
from zoo_pipeline.data.labels import class_numbers
from zoo_pipeline.data.npz import read_npz
from zoo_pipeline.data.parquet import read_parquet
from zoo_pipeline.data.regular import check_regular
from zoo_pipeline.data.rows import Rows
from zoo_pipeline.data.standardisation import standardised
from zoo_pipeline.errors import DataError

SUFFIXES = (".npz", ".parquet")


def load_local(path: Path) -> Dataset:
    """Load a dataset of one's own; it is named like its file or folder.

    Raises:
        DataError: nothing there, not one of the formats, damaged, too large, or not something to learn from.
    """
    try:
        train, test = _read(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror or error}; check the path and its permissions"
        ) from None
    _check_pair(path, train, test)
    train_labels, test_labels, classes = class_numbers(path, train.labels, test.labels)
    train_images, test_images = standardised(train.images, test.images)
    return Dataset(_name(path), classes, train_images, train_labels, test_images, test_labels)


def _read(path: Path) -> tuple[Rows, Rows]:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder; expected .npz, .parquet or a folder")
    if path.is_dir():
        return read_parquet(path) if any(path.glob("*.parquet")) else read_folder(path)
    check_regular(path)
    match path.suffix:
        case ".npz":
            return read_npz(path)
        case ".parquet":
            return read_parquet(path)
        case suffix:
            raise DataError(f"{path}: {suffix or 'no suffix'}; expected one of {', '.join(SUFFIXES)}, or a folder")


def _check_pair(path: Path, train: Rows, test: Rows) -> None:
    for part, rows in (("training", train), ("test", test)):
        if not len(rows.images):
            raise DataError(f"{path}: has no {part} images; expected at least one")
        if len(rows.images) != len(rows.labels):
            images, labels = plural(len(rows.images), f"{part} image"), plural(len(rows.labels), "label")
            raise DataError(f"{path}: has {images}, but {labels}; mend it")
    if train.images.shape[1:] != test.images.shape[1:]:
        shapes = " and ".join("×".join(map(str, rows.images.shape[1:])) for rows in (train, test))
        raise DataError(f"{path}: training and test images are {shapes} (channels × height × width); make them one")
    if train.images.dtype != test.images.dtype:
        raise DataError(
            f"{path}: training images are {train.images.dtype}, test images {test.images.dtype}; convert the ones"
        )


def _name(path: Path) -> str:
    """A name of letters, digits, '.', '_' and '-', other than those of the built-in datasets."""
    whole = path.absolute()  # of a link, its own name
    stem = whole.name if whole.is_dir() else whole.stem
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:58] or "data"
    return f"{name}-local" if name in BUILT_IN else name
