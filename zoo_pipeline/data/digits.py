"""scikit-learn's 1,797 handwritten digits, 8×8 grey images: real data that need no download."""

import numpy as np

from zoo_pipeline.data.dataset import Dataset

TRAIN_ROWS = 1_437  # four fifths; the order in the file is that of the writers, so rows are mixed first
_MAX_GREY = 16


def digits() -> Dataset:
    """All digits, grey levels scaled to 0..1, in a fixed mixed order: 1,437 for training, 360 for testing."""
    from sklearn.datasets import load_digits  # takes a second, which planning need not wait for

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images = (images[order] / _MAX_GREY).astype(np.float32).reshape(-1, 1, 8, 8)
    labels = labels[order].astype(np.int64)
    return Dataset(
        name="digits",
        classes=10,
        train_images=images[:TRAIN_ROWS],
        train_labels=labels[:TRAIN_ROWS],
        test_images=images[TRAIN_ROWS:],
        test_labels=labels[TRAIN_ROWS:],
    )
