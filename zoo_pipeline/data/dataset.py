"""A dataset in memory: labelled images for training and for testing."""

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.data.resizing import resized_images
from zoo_pipeline.dataset_facts import DatasetFacts


@dataclass(frozen=True)
class Dataset:
    """Labelled images, ready to be trained on.

    Attributes:
        name: the dataset's name.
        classes: number of labels.
        train_images: float32[rows, channels, height, width].
        train_labels: int64[rows].
        test_images: float32[rows, channels, height, width].
        test_labels: int64[rows].
    """

    name: str
    classes: int
    train_images: NDArray[np.float32]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.float32]
    test_labels: NDArray[np.int64]

    @property
    def content_sha256(self) -> str:
        """Hash (hex) of all images and labels with their shapes; read anew each time, so that a copy is checked."""
        sha = hashlib.sha256(f"{self.name} {self.classes}".encode())
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            sha.update(f"{array.dtype.str} {array.shape}".encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()

    @property
    def size_bytes(self) -> int:
        """Of all images and labels."""
        return sum(array.nbytes for array in (self.train_images, self.train_labels, self.test_images, self.test_labels))

    @property
    def facts(self) -> DatasetFacts:
        """What the plan needs to know, read from the data."""
        channels, height, width = self.train_images.shape[1:]
        return DatasetFacts(
            name=self.name,
            image_shape=(channels, height, width),
            classes=self.classes,
            train_rows=len(self.train_images),
            test_rows=len(self.test_images),
            content_sha256=self.content_sha256,
        )

    def resized(self, side: int) -> Self:
        """The dataset with square images of `side` pixels; itself where they are that already."""
        if self.train_images.shape[2:] == (side, side):
            return self
        return replace(
            self,
            train_images=resized_images(self.train_images, side),
            test_images=resized_images(self.test_images, side),
        )

    def part(self, fraction: float) -> Self:
        """The dataset with a fraction of its training images, at least one, and all of its test images.

        Which ones depends on the number of training images alone, and a larger part holds every smaller one. They
        stay in their order, so that the whole is the dataset as it was.

        Args:
            fraction: of the training images, in (0, 1].
        """
        rows = len(self.train_images)
        kept_rows = max(1, round(fraction * rows))
        if kept_rows == rows:
            return self
        # A bit generator's raw numbers are the same in every version of numpy; those of its distributions may change.
        mixed = np.argsort(np.random.PCG64(0).random_raw(rows), kind="stable")
        kept = np.sort(mixed[:kept_rows])
        return replace(self, train_images=self.train_images[kept], train_labels=self.train_labels[kept])
