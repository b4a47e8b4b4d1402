"""Training one group of models together, epoch by epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.training.engine import Engine
from zoo_pipeline.training.evaluation import evaluate
from zoo_pipeline.training.population import Population
from zoo_pipeline.training.randomness import data_order

METRICS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


@dataclass(frozen=True)
class Member:
    """One model of a group."""

    seed: int
    hyperparameters: Hyperparameters


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

    A model's initialisation and data order follow from its seed alone; its weights are, within rounding, those it
    would have if trained alone. On a CPU, training that goes on from a saved state ends in the same bits as training
    that was never interrupted.

    Attributes:
        epoch: passes over the training data so far.
    """

    def __init__(
        self,
        architecture: Architecture,
        members: Sequence[Member],
        dataset: Dataset,
        engine: Engine,
        device: str = "cpu",
    ) -> None:
        if len({member.hyperparameters.computation for member in members}) != 1:
            raise ValueError("members: have to share one computation (Hyperparameters.computation)")
        self.epoch = 0
        self._shared = members[0].hyperparameters
        self._data = [
            torch.tensor(array, device=device)
            for array in (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
        ]
        size = engine.stack or len(members)
        self._stacks = [
            _Stack(architecture, members[start : start + size], device) for start in range(0, len(members), size)
        ]

    def advance(self) -> None:
        """Train every model for one epoch."""
        self.epoch += 1
        # A GPU would convolve in TF32, with 10 bits of mantissa, and no longer give the CPU's weights within rounding.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for stack in self._stacks:
                stack.advance(self.epoch, *self._data[:2])

    def checkpoint(self) -> Checkpoint:
        """The weights of all models as they are now, and their metrics on the whole training and test data."""
        train_images, train_labels, test_images, test_labels = self._data
        weights, metrics = [], []
        for stack in self._stacks:
            weights.append(stack.population.weights().numpy())
            on_train = evaluate(stack.population, train_images, train_labels)
            on_test = evaluate(stack.population, test_images, test_labels)
            metrics.append([value.numpy() for value in (*on_train, *on_test)])
        values = [np.concatenate(parts) for parts in zip(*metrics, strict=True)]
        return Checkpoint(
            epoch=self.epoch,
            step=self.epoch * -(-len(train_images) // self._shared.batch_size),
            weights=np.concatenate(weights),
            metrics=dict(zip(METRICS, values, strict=True)),
            buffers=None,
        )

    def state(self) -> dict[str, NDArray[np.float32]]:
        """All that decides how training goes on, besides what the arguments say: float32[models, …] by name."""
        states = [stack.state() for stack in self._stacks]
        return {name: np.concatenate([state[name].numpy() for state in states]) for name in states[0]}

    def restore(self, epoch: int, state: dict[str, NDArray[np.float32]]) -> None:
        """Go on from the state that training had after `epoch` epochs."""
        self.epoch = epoch
        start = 0
        for stack in self._stacks:
            end = start + stack.population.models
            stack.restore({name: torch.from_numpy(values[start:end]) for name, values in state.items()})
            start = end


class _Stack:
    """Models of a group that are trained at once."""

    def __init__(self, architecture: Architecture, members: Sequence[Member], device: str) -> None:
        self._shared = members[0].hyperparameters
        self._seeds = [member.seed for member in members]
        self._device = device
        self.population = Population(architecture, self._shared, self._seeds, device)
        self._optimizer = _optimizer(self.population, self._shared)

    def advance(self, epoch: int, images: Tensor, labels: Tensor) -> None:
        orders = torch.stack([data_order(seed, epoch, len(images)) for seed in self._seeds]).to(self._device)
        for batch in torch.split(orders, self._shared.batch_size, dim=1):
            _step(self.population, self._optimizer, images[batch], labels[batch])

    def state(self) -> dict[str, Tensor]:
        models = self.population.models
        state = {name: tensor.detach().cpu() for name, tensor in self.population.parameters.items()}
        for index, values in self._optimizer.state_dict()["state"].items():
            for name, value in values.items():
                value = torch.zeros(()) if value is None else value
                state[f"optimizer.{index}.{name}"] = value.expand(models) if value.dim() == 0 else value.cpu()
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in self.population.parameters.items():
                tensor.copy_(state[name])
        content = self._optimizer.state_dict()
        for name, value in state.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                entry = content["state"].setdefault(int(index), {})
                entry[key] = value[0].clone() if key == "step" else value.clone()
        self._optimizer.load_state_dict(content)


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
) -> GroupHistory:
    """Train a group to its end and keep every epoch in memory.

    Args:
        architecture: the network of every model.
        members: the models; those that differ in `Hyperparameters.computation` cannot be trained together.
        dataset: what they learn.
        engine: how it is computed.
        device: torch's name of the device, such as "cuda".

    Returns:
        The checkpoints, in the order of the members.
    """
    training = GroupTraining(architecture, members, dataset, engine or Engine(), device)
    checkpoints = [training.checkpoint()]
    while training.epoch < members[0].hyperparameters.epochs:
        training.advance()
        checkpoints.append(training.checkpoint())
    return GroupHistory(
        weights=np.stack([checkpoint.weights for checkpoint in checkpoints], axis=1),
        metrics={name: np.stack([checkpoint.metrics[name] for checkpoint in checkpoints], axis=1) for name in METRICS},
        steps=np.array([checkpoint.step for checkpoint in checkpoints], dtype=np.int64),
    )


def _step(population: Population, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    """One optimiser step on images float32[models, batch, c, h, w] with labels int64[models, batch]."""
    logits = population.logits(images)
    losses = functional.cross_entropy(logits.transpose(1, 2), labels, reduction="none").mean(dim=1)
    optimizer.zero_grad()
    # The models share no parameter, so the gradient of the sum holds every model's own gradient.
    torch.autograd.backward(losses.sum())
    optimizer.step()


def _optimizer(population: Population, hyperparameters: Hyperparameters) -> torch.optim.Optimizer:
    """Torch's optimisers work element by element, so one over stacked tensors serves every model apart."""
    parameters = list(population.parameters.values())
    if hyperparameters.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=hyperparameters.learning_rate,
            momentum=hyperparameters.momentum,
            weight_decay=hyperparameters.weight_decay,
        )
    return torch.optim.Adam(parameters, lr=hyperparameters.learning_rate, weight_decay=hyperparameters.weight_decay)
