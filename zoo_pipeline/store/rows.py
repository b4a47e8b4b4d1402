"""The checkpoints of one epoch range while it is filled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.store.schema import METRIC_NAMES
from zoo_pipeline.store.states import Arrays


class RangeRows:
    """The checkpoints of a group in one epoch range, written epoch by epoch into arrays that are made once.

    Attributes:
        first: first epoch of the range.
        filled: epochs written so far.
        weights: float32[models, epochs, d].
        buffers: float32[models, epochs, b]; b is 0 where the architecture has none.
        metrics: float32[models, epochs] by column name.
        steps: int64[epochs], optimiser steps before each checkpoint.
        diverged: bool[models], which have a weight, training loss or test loss that is not finite.
    """

    def __init__(self, models: int, first: int, epochs: int, dimension: int, buffers: int = 0) -> None:
        self.first = first
        self.filled = 0
        self.weights = np.empty((models, epochs, dimension), dtype=np.float32)
        self.buffers = np.empty((models, epochs, buffers), dtype=np.float32)
        self.metrics = {name: np.empty((models, epochs), dtype=np.float32) for name in METRIC_NAMES}
        self.steps = np.empty(epochs, dtype=np.int64)
        self.diverged = np.zeros(models, dtype=bool)

    def add(
        self,
        step: int,
        weights: NDArray[np.float32],
        metrics: dict[str, NDArray[np.float32]],
        buffers: NDArray[np.float32] | None = None,
    ) -> None:
        """Write the next epoch: weights float32[models, d], metrics float32[models], buffers float32[models, b]."""
        at = self.filled
        self.weights[:, at] = weights
        if buffers is not None:
            self.buffers[:, at] = buffers
        for name, values in self.metrics.items():
            values[:, at] = metrics[name]
        self.steps[at] = step
        finite = np.isfinite(weights).all(axis=1)
        self.diverged |= ~(finite & np.isfinite(metrics["train_loss"]) & np.isfinite(metrics["test_loss"]))
        self.filled += 1

    def so_far(self) -> dict[str, NDArray[Any]]:
        """What has been written, by name; views."""
        return {
            "weights": self.weights[:, : self.filled],
            "buffers": self.buffers[:, : self.filled],
            "steps": self.steps[: self.filled],
            "diverged": self.diverged,
            **{name: values[:, : self.filled] for name, values in self.metrics.items()},
        }

    def resume(self, written: Arrays) -> None:
        """Take over what `so_far` gave."""
        self.filled = len(written["steps"])
        for name, values in self.so_far().items():
            values[...] = written[name]
