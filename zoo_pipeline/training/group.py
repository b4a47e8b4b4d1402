"""Training one group of models together, every epoch kept."""

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
from zoo_pipeline.training.evaluation import evaluate
from zoo_pipeline.training.population import Population
from zoo_pipeline.training.randomness import data_order

METRICS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")


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
    hyperparameters: Hyperparameters,
    seeds: Sequence[int],
    dataset: Dataset,
    *,
    device: str = "cpu",
    stack: int | None = None,
) -> GroupHistory:
    """Train one model per seed and keep every epoch.

    A model's initialisation and data order follow from its seed alone; its weights are, within rounding, those it
    would have if trained alone.

    Args:
        architecture: the network of every model.
        hyperparameters: how every model is trained.
        seeds: one per model.
        dataset: what they learn.
        device: torch's name of the device, such as "cuda".
        stack: how many models to train at once; all of them if None.

    Returns:
        The checkpoints, in the order of the seeds.
    """
    shape = (len(seeds), hyperparameters.epochs + 1)
    history = GroupHistory(
        weights=np.empty((*shape, architecture.dimension), dtype=np.float32),
        metrics={name: np.empty(shape, dtype=np.float32) for name in METRICS},
        steps=np.arange(shape[1]) * -(-len(dataset.train_images) // hyperparameters.batch_size),
    )
    data = [
        torch.tensor(array, device=device)
        for array in (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
    ]
    stack = stack or len(seeds)
    # A GPU would convolve in TF32, with 10 bits of mantissa, and no longer give the CPU's weights within rounding.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for start in range(0, len(seeds), stack):
            models = slice(start, start + stack)
            _train_stack(architecture, hyperparameters, seeds[models], data, history, models, device)
    return history


def _train_stack(
    architecture: Architecture,
    hyperparameters: Hyperparameters,
    seeds: Sequence[int],
    data: list[Tensor],
    history: GroupHistory,
    models: slice,
    device: str,
) -> None:
    """Train stacked models and write their checkpoints into `history`."""
    train_images, train_labels, test_images, test_labels = data
    population = Population(architecture, hyperparameters, seeds, device)
    optimizer = _optimizer(population, hyperparameters)
    for epoch in range(hyperparameters.epochs + 1):
        if epoch > 0:
            orders = torch.stack([data_order(seed, epoch, len(train_images)) for seed in seeds]).to(device)
            for batch in torch.split(orders, hyperparameters.batch_size, dim=1):
                _step(population, optimizer, train_images[batch], train_labels[batch])
        history.weights[models, epoch] = population.weights().numpy()
        values = (*evaluate(population, train_images, train_labels), *evaluate(population, test_images, test_labels))
        for name, value in zip(METRICS, values, strict=True):
            history.metrics[name][models, epoch] = value.numpy()


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
