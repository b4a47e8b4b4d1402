"""What is declared of a dataset, so that a zoo can be planned before its data are read."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class DatasetFacts:
    """What the plan needs to know of a dataset; declared for the built-in ones, else read from the data.

    Attributes:
        name: the dataset's name.
        image_shape: channels, height, width.
        classes: number of labels.
        train_rows: training images.
        test_rows: test images.
        content_sha256: hash of images and labels; None until the data have been read.
    """

    name: str
    image_shape: tuple[int, int, int]
    classes: int
    train_rows: int
    test_rows: int
    content_sha256: str | None = None

    def resized(self, side: int) -> Self:
        """The facts of `Dataset.resized(side)`; its hash is unknown until the images have been resized."""
        channels, height, width = self.image_shape
        if (height, width) == (side, side):
            return self
        return replace(self, image_shape=(channels, side, side), content_sha256=None)
