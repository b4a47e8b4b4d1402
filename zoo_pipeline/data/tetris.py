"""The Tetris images of Hyper-Representations (arXiv 2110.15288): four shapes at random places in 4×4 grey noise."""

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.data.dataset import Dataset

SIDE = 4
NOISE = 0.1  # standard deviation
TRAIN_ROWS, TEST_ROWS = 1_000, 500
SHAPES = (
    ((1, 1, 1, 1),),  # I
    ((1, 1), (1, 1)),  # O
    ((1, 1, 1), (0, 1, 0)),  # T
    ((1, 0), (1, 0), (1, 1)),  # L
)
_SEED = 2110_15288


def tetris() -> Dataset:
    """1,000 training and 500 test images, always the same."""
    generator = np.random.default_rng(_SEED)
    train_images, train_labels = _draw(generator, TRAIN_ROWS)
    test_images, test_labels = _draw(generator, TEST_ROWS)
    return Dataset("tetris", len(SHAPES), train_images, train_labels, test_images, test_labels)


def _draw(generator: np.random.Generator, rows: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    labels = generator.integers(len(SHAPES), size=rows)
    images = generator.normal(0.0, NOISE, size=(rows, 1, SIDE, SIDE))
    for image, label in zip(images, labels, strict=True):
        shape = np.array(SHAPES[label])
        height, width = shape.shape
        top = generator.integers(SIDE - height + 1)
        left = generator.integers(SIDE - width + 1)
        image[0, top : top + height, left : left + width] += shape
    return images.astype(np.float32), labels.astype(np.int64)
