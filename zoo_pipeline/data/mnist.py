"""MNIST from its IDX files, whole or its 10,000 test images alone."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.data.idx import read_idx
from zoo_pipeline.errors import DataError

MEAN, STANDARD_DEVIATION = 0.1307, 0.3081  # of the training pixels, as everybody uses them
SMALL_TRAIN_ROWS = 8_000  # of mnist-10k; the rest are for testing
SIDE, CLASSES = 28, 10
ORIGIN = "https://yann.lecun.com/exdb/mnist or any mirror of it"


def mnist(data_dir: Path | None) -> Dataset:
    """The standard split: 60,000 images for training and 10,000 for testing.

    Raises:
        DataError: a file is missing or damaged.
    """
    train_images, train_labels = _read(data_dir, "train")
    test_images, test_labels = _read(data_dir, "t10k")
    return Dataset("mnist", CLASSES, train_images, train_labels, test_images, test_labels)


def mnist_10k(data_dir: Path | None) -> Dataset:
    """The 10,000 test images in a fixed mixed order: 8,000 for training, 2,000 for testing.

    Raises:
        DataError: a file is missing or damaged.
    """
    images, labels = _read(data_dir, "t10k")
    order = np.random.default_rng(0).permutation(len(images))
    train, test = order[:SMALL_TRAIN_ROWS], order[SMALL_TRAIN_ROWS:]
    return Dataset("mnist-10k", CLASSES, images[train], labels[train], images[test], labels[test])


def _read(data_dir: Path | None, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Standardised images float32[n, 1, 28, 28] and labels int64[n] of one pair of files."""
    images_path = _find(data_dir, f"{part}-images-idx3-ubyte")
    labels_path = _find(data_dir, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    rows = {"train": 60_000, "t10k": 10_000}[part]
    if images.shape != (rows, SIDE, SIDE):
        raise DataError(f"{images_path}: holds images of shape {images.shape}, expected {(rows, SIDE, SIDE)}")
    if labels.shape != (rows,) or labels.max() >= CLASSES:
        raise DataError(f"{labels_path}: expected {rows} labels from 0 to {CLASSES - 1}, got {labels.shape}")
    pixels = images.astype(np.float32)[:, None] / np.float32(255)
    return (pixels - np.float32(MEAN)) / np.float32(STANDARD_DEVIATION), labels.astype(np.int64)


def _find(data_dir: Path | None, name: str) -> Path:
    if data_dir is None:
        raise DataError(
            f"{name}: MNIST is read from mnist/ in a data directory, and none is given; "
            f"use --data-dir or set ZOO_DATA_DIR (files from {ORIGIN})"
        )
    folder = data_dir / "mnist"
    for candidate in (folder / name, folder / f"{name}.gz"):
        try:
            if candidate.is_file():
                return candidate
        except OSError as error:
            raise DataError(f"{candidate}: cannot be looked up: {error.strerror}; check --data-dir") from None
    raise DataError(f"{name}[.gz]: not found in {folder}; put the file there (from {ORIGIN})")
