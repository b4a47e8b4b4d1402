"""Models of a group that are trained at once: their network, their optimiser and their share of the randomness."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_pipeline.architecture import RESNETS, Architecture
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models import Layout, initialise
from zoo_pipeline.training.device_data import DeviceData
from zoo_pipeline.training.evaluation import evaluate
from zoo_pipeline.training.layers.dropout import step_keys
from zoo_pipeline.training.modules import Modules
from zoo_pipeline.training.network import Network
from zoo_pipeline.training.optimizers import optimizer_for
from zoo_pipeline.training.randomness import data_order, dropout_key, initialisation_generator, noisy_labels
from zoo_pipeline.training.workplace import Workplace


@dataclass(frozen=True)
class Member:
    """One model of a group."""

    seed: int
    hyperparameters: Hyperparameters


class Stack:
    """Stacked models on one device.

    Attributes:
        models: how many there are.
        steps: optimiser steps of an epoch.
    """

    def __init__(
        self,
        architecture: Architecture,
        members: Sequence[Member],
        data: DeviceData,
        device: str,
        workplace: Workplace,
        starts: NDArray[np.float32] | None = None,
    ) -> None:
        self.models = len(members)
        self._members = members
        self._device = device
        every = [member.hyperparameters for member in members]
        self._batch_size = every[0].batch_size
        self._epochs = every[0].epochs
        self._drops = any(one.dropout for one in every)
        kind = Modules if architecture.name in RESNETS else Network
        self._network: Network | Modules = kind(architecture, every, device, workplace.scratch)
        parameters = self._network.parameters
        rows = _drawn(architecture, members) if starts is None else torch.from_numpy(starts)
        parameters.write(parameters.values, rows)
        self._optimizer = optimizer_for(parameters, every)
        self._data = data
        self.steps = -(-len(data.train_images) // self._batch_size)
        self._train_labels = _labels(members, data).to(device)
        self._scratch = workplace.scratch
        self._captured = workplace.captured()
        self._ahead = 0, torch.empty(0)  # an epoch, and the orders of its rows

    @torch.no_grad()
    def advance(self, epoch: int, most_steps: int | None = None) -> None:
        """Train for one epoch (from 1), or for its first steps only."""
        size = self._batch_size
        ahead, orders = self._ahead
        orders = (orders if ahead == epoch else self._orders(epoch)).to(self._device, non_blocking=True)
        if self._train_labels.dim() == 2:
            labels = self._train_labels.gather(1, orders)
        else:  # a fourth of the time that indexing takes
            labels = self._train_labels.index_select(0, orders.view(-1)).view(orders.shape)
        seeds = [dropout_key(member.seed, epoch) if self._drops else 0 for member in self._members]
        keys = step_keys(torch.tensor(seeds, dtype=torch.int32, device=self._device), self.steps)
        coefficients = self._optimizer.coefficients(epoch, self.steps)
        # All views at once: with small models, making one takes as long as using it.
        batches = zip(
            torch.split(orders, size, 1),
            torch.split(labels, size, 1),
            coefficients.unbind(),
            keys.unbind(),
            strict=True,
        )
        for order, own_labels, numbers, own_keys in islice(batches, most_steps):
            # The last batch may be smaller, and a captured step has one shape.
            if self._captured is not None and order.shape[1] == size:
                self._captured(self._step, order, own_labels, numbers, own_keys)
            else:
                self._step(order, own_labels, numbers, own_keys)
        if self._device != "cpu" and epoch < self._epochs and most_steps is None:
            self._ahead = epoch + 1, self._orders(epoch + 1)  # while the GPU still computes

    def _orders(self, epoch: int) -> Tensor:
        """The order in which every model sees its training rows, int64[models, rows], on the CPU."""
        rows = len(self._data.train_images)
        orders = torch.empty(self.models, rows, dtype=torch.int64, pin_memory=self._device != "cpu")
        return torch.stack([data_order(member.seed, epoch, rows) for member in self._members], out=orders)

    def _step(self, order: Tensor, labels: Tensor, coefficients: Tensor, keys: Tensor) -> None:
        """One optimiser step on the images of int64[models, batch]."""
        image = self._data.train_images.shape[1:]
        batch = self._scratch.get("batch", order.numel(), *image)
        torch.index_select(self._data.train_images, 0, order.reshape(-1), out=batch)
        self._network.descend(self._scratch.get("batch", *order.shape, *image), labels, keys)
        self._optimizer.step(coefficients)

    def wait(self) -> None:
        """Until all is computed: a GPU goes on after its calls have returned."""
        if self._device != "cpu":
            torch.cuda.synchronize()

    def metrics(self) -> list[Tensor]:
        """Loss and accuracy on the training data as the models see them, then on the test data: float32[models]."""
        return [
            *evaluate(self._network, self._data.train_images, self._train_labels),
            *evaluate(self._network, self._data.test_images, self._data.test_labels),
        ]

    def weights(self) -> Tensor:
        """The flat weights float32[models, d] on the CPU."""
        return self._network.parameters.rows(self._network.parameters.values)

    def buffers(self) -> Tensor | None:
        """The buffers float32[models, b] on the CPU, where the architecture has any."""
        return self._network.buffers() if isinstance(self._network, Modules) else None

    def state(self) -> dict[str, Tensor]:
        """Weights, buffers and the optimiser's memory: float32[models, …] on the CPU."""
        rows = {name: self._network.parameters.rows(flat) for name, flat in self._optimizer.memory.items()}
        buffers = self.buffers()
        return {"weights": self.weights(), **({} if buffers is None else {"buffers": buffers}), **rows}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Become what `state` was taken of."""
        parameters = self._network.parameters
        parameters.write(parameters.values, state["weights"])
        for name, flat in self._optimizer.memory.items():
            parameters.write(flat, state[name])
        if isinstance(self._network, Modules):
            self._network.set_buffers(state["buffers"])


def _drawn(architecture: Architecture, members: Sequence[Member]) -> Tensor:
    """Every model's own initialisation, float32[models, d]."""
    layout = Layout.of(architecture.tensors)
    weights = torch.empty(len(members), layout.dimension)
    for member, row in zip(members, weights, strict=True):
        generator = initialisation_generator(member.seed)
        layout.flatten(initialise(architecture, member.hyperparameters.initialisation, generator), row)
    return weights


def _labels(members: Sequence[Member], data: DeviceData) -> Tensor:
    """Training labels int64[rows], or int64[models, rows] where some are noisy."""
    noises = [member.hyperparameters.label_noise for member in members]
    if not any(noises):
        return data.train_labels
    return torch.stack(
        [
            noisy_labels(member.seed, data.train_labels, data.classes, noise)
            for member, noise in zip(members, noises, strict=True)
        ]
    )
