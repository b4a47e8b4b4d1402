"""What every side of the comparison hands over, and what a side is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Trained:
    """Models that were trained, with all that our own checkpoints hold.

    Attributes:
        weights: float32[models, epochs + 1, d]; epoch 0 is the initialisation.
        train_loss: on all training images, float32[models, epochs + 1].
        train_accuracy: of the same shape.
        test_loss: on all test images, of the same shape.
        test_accuracy: of the same shape.
    """

    weights: NDArray[np.float32]
    train_loss: NDArray[np.float32]
    train_accuracy: NDArray[np.float32]
    test_loss: NDArray[np.float32]
    test_accuracy: NDArray[np.float32]

    @classmethod
    def empty(cls, models: int, epochs: int, dimension: int) -> "Trained":
        """Room for the checkpoints of so many models."""
        shape = (models, epochs + 1)
        return cls(
            np.empty((*shape, dimension), dtype=np.float32), *(np.empty(shape, dtype=np.float32) for _ in range(4))
        )


class Trainer(Protocol):
    """One side in one process: it has the data, and has chosen how it computes."""

    @property
    def choice(self) -> str:
        """How this side computes, in words."""

    def warm_up(self, seeds: Sequence[int]) -> None:
        """Do once all that `train` of these seeds would do only the first time, such as compiling."""

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train one model per seed."""
