"""Training one group of models together, epoch by epoch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.training.arithmetic import arithmetic
from zoo_pipeline.training.device_data import DeviceData
from zoo_pipeline.training.engine import Engine
from zoo_pipeline.training.stack import Member, Stack
from zoo_pipeline.training.workplace import Workplace

T = TypeVar("T")
METRICS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True)
class Checkpoint:
    """All models of a group after one epoch.

    Attributes:
        epoch: 0 is the initialisation.
        step: optimiser steps taken so far.
        weights: float32[models, d].
        metrics: the four of `METRICS`, float32[models] each.
        buffers: float32[models, b], None where the architecture has none.
    """

    epoch: int
    step: int
    weights: NDArray[np.float32]
    metrics: dict[str, NDArray[np.float32]]
    buffers: NDArray[np.float32] | None


class GroupTraining:
    """A group in training: advance it epoch by epoch, take its checkpoints, save its state and go on from one.

    A model's initialisation, data order, label noise and dropout follow from its seed alone; its weights are, within
    rounding, those it would have if trained alone. On a CPU, training that goes on from a saved state ends in the same
    bits as training that was never interrupted. Where a GPU's memory does not suffice, the stack is halved.

    Models may start from weights that are given, such as a checkpoint of another model: a fork or a fine-tune. Only the
    weights are taken over; the optimiser's memory, the schedule and BatchNorm's statistics begin anew.

    Attributes:
        epoch: passes over the training data so far.
        stack: how many models are trained at once by now.
    """

    def __init__(
        self,
        architecture: Architecture,
        members: Sequence[Member],
        dataset: Dataset,
        engine: Engine,
        device: str = "cpu",
        starts: NDArray[np.float32] | None = None,
    ) -> None:
        if len({member.hyperparameters.computation for member in members}) != 1:
            raise ValueError("members: have to share one computation (Hyperparameters.computation)")
        expected = (len(members), architecture.dimension)
        if starts is not None and starts.shape != expected:
            raise ValueError(f"starts: have shape {starts.shape}, expected {expected}")
        self.epoch = 0
        self.stack = min(engine.stack or len(members), len(members))
        shared = members[0].hyperparameters
        self._architecture, self._members, self._device = architecture, members, device
        self._starts = starts
        self._capture = engine.capture and device != "cpu"
        self._data = DeviceData.of(dataset.part(shared.data_fraction), architecture, device)
        self._steps = -(-len(self._data.train_images) // shared.batch_size)
        self._stacks: list[Stack] = []
        self._with_memory(self._build)

    def advance(self) -> None:
        """Train every model for one epoch."""
        before = self._states() if _may_run_out(self._device) else None
        self._with_memory(self._advance, before)
        self.epoch += 1

    def weights(self) -> NDArray[np.float32]:
        """The weights of all models as they are now, float32[models, d]: a checkpoint without the time metrics take."""
        return torch.cat([stack.weights() for stack in self._stacks]).numpy()

    def checkpoint(self) -> Checkpoint:
        """The weights of all models as they are now, and their metrics on the whole training and test data."""
        metrics = self._with_memory(self._metrics)
        values = [torch.cat(parts).numpy() for parts in zip(*metrics, strict=True)]
        buffers = [stack.buffers() for stack in self._stacks]
        return Checkpoint(
            epoch=self.epoch,
            step=self.epoch * self._steps,
            weights=self.weights(),
            metrics=dict(zip(METRICS, values, strict=True)),
            buffers=None if buffers[0] is None else torch.cat([part for part in buffers if part is not None]).numpy(),
        )

    def state(self) -> dict[str, NDArray[np.float32]]:
        """All that decides how training goes on, besides what the arguments say: float32[models, …] by name."""
        return _joined(self._states())

    def restore(self, epoch: int, state: dict[str, NDArray[np.float32]]) -> None:
        """Go on from the state that training had after `epoch` epochs."""
        self.epoch = epoch
        start = 0
        for stack in self._stacks:
            end = start + stack.models
            stack.restore({name: torch.from_numpy(values[start:end]) for name, values in state.items()})
            start = end

    def _states(self) -> list[dict[str, Tensor]]:
        """Those of the stacks."""
        return [stack.state() for stack in self._stacks]

    def _build(self) -> None:
        workplace = Workplace(self._device, self._capture)
        parts = [slice(start, start + self.stack) for start in range(0, len(self._members), self.stack)]
        self._stacks = [
            Stack(
                self._architecture,
                self._members[part],
                self._data,
                self._device,
                workplace,
                None if self._starts is None else self._starts[part],
            )
            for part in parts
        ]

    def _advance(self) -> None:
        with arithmetic():
            for stack in self._stacks:
                stack.advance(self.epoch + 1)

    def _metrics(self) -> list[list[Tensor]]:
        with arithmetic():
            return [stack.metrics() for stack in self._stacks]

    def _with_memory(self, work: Callable[[], T], before: list[dict[str, Tensor]] | None = None) -> T:
        """Do some work; where memory does not suffice, halve the stack, go back to the state before, and try again.

        Args:
            work: what to do.
            before: the states to go back to; None: those that there are, if any.
        """
        while True:
            try:
                return work()
            except torch.OutOfMemoryError:
                if self.stack == 1 and not self._capture:
                    raise
            # Outside the handler: its traceback would keep the failed attempt's tensors alive.
            if self._stacks:
                before = before or self._states()
            if self.stack == 1:
                self._capture = False  # a graph holds on to all memory of a step
            self.stack = -(-self.stack // 2)
            self._stacks = []
            torch.cuda.empty_cache()
            if before is not None:
                self._with_memory(self._build)
                self.restore(self.epoch, _joined(before))


def _joined(states: Sequence[dict[str, Tensor]]) -> dict[str, NDArray[np.float32]]:
    """The state of all stacks' models."""
    # A stack in which no model has momentum keeps none; there it is 0.
    return {
        name: torch.cat(
            [state[name] if name in state else torch.zeros_like(state["weights"]) for state in states]
        ).numpy()
        for name in dict.fromkeys(name for state in states for name in state)
    }


def _may_run_out(device: str) -> bool:
    """Whether torch says so when a device's memory is used up; of a CPU's the system ends the process instead."""
    return device != "cpu"


@dataclass(frozen=True)
class GroupHistory:
    """Every checkpoint of a group.

    Attributes:
        weights: float32[models, epochs + 1, d]; epoch 0 is the initialisation.
        metrics: the four of `METRICS`, float32[models, epochs + 1] each.
        steps: optimiser steps taken before each checkpoint, int64[epochs + 1].
    """

    weights: NDArray[np.float32]
    metrics: dict[str, NDArray[np.float32]]
    steps: NDArray[np.int64]

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Which models have a weight or a loss that is not finite, bool[models]."""
        values = (self.weights, self.metrics["train_loss"][:, :, None], self.metrics["test_loss"][:, :, None])
        return np.array([not all(np.isfinite(of[model]).all() for of in values) for model in range(len(self.weights))])


def train_group(
    architecture: Architecture,
    members: Sequence[Member],
    dataset: Dataset,
    *,
    engine: Engine | None = None,
    device: str = "cpu",
    starts: NDArray[np.float32] | None = None,
) -> GroupHistory:
    """Train a group to its end and keep every epoch in memory.

    Args:
        architecture: the network of every model.
        members: the models; those that differ in `Hyperparameters.computation` cannot be trained together.
        dataset: what they learn.
        engine: how it is computed.
        device: torch's name of the device, such as "cuda".
        starts: float32[models, d], the weights of epoch 0; None draws each model's own.

    Returns:
        The checkpoints, in the order of the members.
    """
    training = GroupTraining(architecture, members, dataset, engine or Engine(), device, starts)
    checkpoints = [training.checkpoint()]
    while training.epoch < members[0].hyperparameters.epochs:
        training.advance()
        checkpoints.append(training.checkpoint())
    return GroupHistory(
        weights=np.stack([checkpoint.weights for checkpoint in checkpoints], axis=1),
        metrics={name: np.stack([checkpoint.metrics[name] for checkpoint in checkpoints], axis=1) for name in METRICS},
        steps=np.array([checkpoint.step for checkpoint in checkpoints], dtype=np.int64),
    )
