"""Datasets in folders of image files, one folder per class."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo_pipeline.data.encoded import EncodedImage, common_shape, decoded
from zoo_pipeline.data.regular import check_regular
from zoo_pipeline.data.rows import Rows
from zoo_pipeline.errors import DataError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def read_folder(folder: Path) -> tuple[Rows, Rows]:
    """Read train/CLASS/* and test/CLASS/*, or CLASS/* split by `Rows.split`; images in the order of their names.

    Files beside the class folders, and whatever is beside train/ and test/, are left out; so are hidden files.

    Returns:
        The rows for training and for testing; labels are the folders' names.

    Raises:
        DataError: no images, one that cannot be read, differs in size or lies elsewhere, or a file of another kind.
    """
    parts = [folder / name for name in ("train", "test")]
    found = [part for part in parts if part.is_dir()]
    if len(found) == 1:
        missing = parts[1 - parts.index(found[0])]
        raise DataError(f"{folder}: has {found[0].name}/ but no {missing.name}/; add it, or put the classes into one")
    files = [_files(folder, part) for part in found or [folder]]
    images = [[EncodedImage(str(path), path.read_bytes) for path in part] for part in files]
    shape = common_shape([image for part in images for image in part])
    rows = [
        Rows(decoded(part, shape), np.array([path.parent.name for path in paths]))
        for part, paths in zip(images, files, strict=True)
    ]
    return (rows[0], rows[1]) if found else rows[0].split()


def _files(root: Path, part: Path) -> Sequence[Path]:
    """The images of one split, by class and name."""
    classes = sorted(path for path in part.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = [path for one in classes for path in sorted(one.iterdir()) if not path.name.startswith(".")]
    if not files:
        raise DataError(
            f"{part}: holds no images in class folders; expected train/CLASS/*.png and test/CLASS/*.png, CLASS/*.png, "
            f"or train*.parquet and test*.parquet"
        )
    inside = root.resolve()
    for path in files:
        check_regular(path)
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path}: expected an image ({', '.join(SUFFIXES)}); remove or convert it")
        place = os.path.realpath(path)  # which, unlike Path.resolve, ends where a link leads to itself
        if not Path(place).is_relative_to(inside):
            raise DataError(f"{path}: links to {place}, outside of {root}; copy the file")
    return files
