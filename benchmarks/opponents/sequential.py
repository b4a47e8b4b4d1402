"""A good plain PyTorch loop: one model after another, data in memory, nothing between the steps that need not be."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.trained import Trained
from benchmarks.works import Work, sample
from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import Dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models import build

EVALUATED_IMAGES = {"cpu": 1_000, "cuda": 10_000}  # in one forward pass; on a CPU the fastest of 125 … 8,000 for CNN-s


@dataclass(frozen=True)
class Way:
    """What of a loop can be faster or slower and gives the same weights within rounding."""

    optimiser: str
    memory_format: str

    def __str__(self) -> str:
        return f"{self.optimiser} optimiser, {self.memory_format}"


class SequentialTrainer:
    """The loop, in the fastest of its ways on this machine."""

    def __init__(self, work: Work, dataset: Dataset, device: str) -> None:
        self._work = work
        self._device = device
        torch.backends.cudnn.allow_tf32 = False  # as our own side
        torch.backends.cudnn.benchmark = True  # shapes repeat, so that looking for the fastest convolution pays
        formats = ("contiguous",) if work.architecture.name == "mlp" else ("contiguous", "channels_last")
        ways = [Way(*pair) for pair in product(("fused", "foreach"), formats)]
        small = sample(dataset)
        self._way = min(ways, key=lambda way: _epoch_s(work, _on(small, device, way), device, way))
        self._data = _on(dataset, device, self._way)

    @property
    def choice(self) -> str:
        """The way that was fastest."""
        return str(self._way)

    def warm_up(self, seeds: Sequence[int]) -> None:
        """An epoch of one model."""
        self.train(seeds[:1], 1)

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train one model per seed, one after another."""
        trained = Trained.empty(len(seeds), epochs, self._work.architecture.dimension)
        for row, seed in enumerate(seeds):
            _train(self._work, self._data, self._device, self._way, seed, epochs, trained, row)
        return trained


def train_epoch(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    order: Tensor,
    batch_size: int,
) -> None:
    """One pass over the training images in the order int64[n]."""
    module.train()
    for batch in torch.split(order, batch_size):
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(functional.cross_entropy(module(images[batch]), labels[batch]))
        optimizer.step()


@torch.no_grad()
def evaluate(module: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean loss and accuracy on all images."""
    module.eval()
    loss = torch.zeros((), device=images.device)
    correct = torch.zeros((), device=images.device)
    chunk = EVALUATED_IMAGES[images.device.type]
    for some_images, some_labels in zip(torch.split(images, chunk), torch.split(labels, chunk), strict=True):
        logits = module(some_images)
        loss += functional.cross_entropy(logits, some_labels, reduction="sum")
        correct += (logits.argmax(dim=1) == some_labels).sum()
    return float(loss) / len(images), float(correct) / len(images)


def network(architecture: Architecture, hyperparameters: Hyperparameters, seed: int) -> nn.Module:
    """An untrained network with torch's own initialisation."""
    torch.manual_seed(seed)
    return build(architecture, hyperparameters.activation, hyperparameters.dropout)


def optimiser(module: nn.Module, hyperparameters: Hyperparameters, kind: str) -> torch.optim.Optimizer:
    """Torch's optimiser, "fused" or "foreach"."""
    settings: dict[str, Any] = {
        "lr": hyperparameters.learning_rate,
        "weight_decay": hyperparameters.weight_decay,
        "fused": kind == "fused",
        "foreach": kind == "foreach",
    }
    if hyperparameters.optimizer == "sgd":
        return torch.optim.SGD(module.parameters(), momentum=hyperparameters.momentum, **settings)
    return torch.optim.Adam(module.parameters(), **settings)


def _train(
    work: Work, data: list[Tensor], device: str, way: Way, seed: int, epochs: int, trained: Trained, row: int
) -> None:
    """Train one model and write its checkpoints into a row of `trained`."""
    images, labels, test_images, test_labels = data
    module = network(work.architecture, work.hyperparameters, seed).to(device)
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=_memory_format(way))
    optimizer = optimiser(module, work.hyperparameters, way.optimiser)
    orders = torch.Generator().manual_seed(seed)
    for epoch in range(epochs + 1):
        if epoch:
            order = torch.randperm(len(images), generator=orders).to(device)
            train_epoch(module, optimizer, images, labels, order, work.hyperparameters.batch_size)
        flat = torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])
        trained.weights[row, epoch] = flat.cpu().numpy()
        trained.train_loss[row, epoch], trained.train_accuracy[row, epoch] = evaluate(module, images, labels)
        trained.test_loss[row, epoch], trained.test_accuracy[row, epoch] = evaluate(module, test_images, test_labels)


def _epoch_s(work: Work, data: list[Tensor], device: str, way: Way) -> float:
    """Seconds of one model's epoch, its first steps not counted."""
    trained = Trained.empty(1, 1, work.architecture.dimension)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        _train(work, data, device, way, 0, 1, trained, 0)
        seconds.append(time.perf_counter() - started)
    return seconds[-1]


def _on(dataset: Dataset, device: str, way: Way) -> list[Tensor]:
    """Training images and labels, then test images and labels, on the device."""
    arrays = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
    memory_format = _memory_format(way)
    tensors = [torch.tensor(array, device=device) for array in arrays]
    return [tensor.contiguous(memory_format=memory_format) if tensor.dim() == 4 else tensor for tensor in tensors]


def _memory_format(way: Way) -> torch.memory_format:
    return torch.channels_last if way.memory_format == "channels_last" else torch.contiguous_format
