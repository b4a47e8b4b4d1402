"""The training task of a simulated cluster: the product's, but training sleeps for as long as it would take."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.runtime import group_task
from zoo_pipeline.runtime.group_task import GroupResult, GroupTask, Tell, train_and_publish
from zoo_pipeline.training.group import METRICS, Checkpoint


@dataclass(frozen=True)
class SimulatedData:
    """In place of a dataset: its hash, and how long an epoch of every group takes, in seconds."""

    content_sha256: str
    epoch_s: Mapping[int, float]
    name: str = "simulated"


class SleepingTraining:
    """Trains nothing, as long as it takes; its weights say the epoch."""

    def __init__(self, epoch_s: float, architecture: Any, members: Any, *_others: Any) -> None:
        self.epoch = 0
        self._epoch_s, self._shape = epoch_s, (len(members), architecture.dimension)

    def advance(self) -> None:
        """One epoch."""
        time.sleep(self._epoch_s)
        self.epoch += 1

    def checkpoint(self) -> Checkpoint:
        """All models after the latest epoch."""
        metrics = {name: np.full(self._shape[0], self.epoch, np.float32) for name in METRICS}
        return Checkpoint(self.epoch, self.epoch, np.full(self._shape, self.epoch, np.float32), metrics, None)

    def state(self) -> dict[str, NDArray[Any]]:
        """What training would go on from."""
        return {"epoch": np.array([self.epoch])}

    def restore(self, epoch: int, _arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from a state."""
        self.epoch = epoch


def sleep_and_publish(task: GroupTask, dataset: SimulatedData, tell: Tell, *, device: str) -> GroupResult:
    """The product's task, without training."""
    simulated = partial(SleepingTraining, dataset.epoch_s[task.group.number])
    setattr(group_task, "GroupTraining", simulated)  # noqa: B010  (a name that the task's module has imported)
    stand_in: Any = dataset
    return train_and_publish(task, stand_in, tell, device=device)
