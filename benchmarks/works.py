"""The works that training is measured on: what is trained on what, and what a model-epoch of it costs by formula."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import BUILT_IN, Dataset, load_dataset
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models import build

SAMPLE_TRAIN_ROWS, SAMPLE_TEST_ROWS = 960, 320  # enough to time a choice on; whole batches of 64 and of 10
FLOAT_BYTES = 4
_COARSE = 4  # pixels along one side of the constant squares of synthetic images


@dataclass(frozen=True)
class Synthetic:
    """Learnable images made up here: one coarse random pattern per class under noise, for machines without data."""

    train_rows: int
    test_rows: int
    noise: float  # standard deviation; that of the patterns is 1


@dataclass(frozen=True)
class Work:
    """One training task, the same for every side.

    Attributes:
        name: as on the command line.
        architecture: the network of every model; its start is torch's own initialisation.
        hyperparameters: how every model is trained.
        models: how many.
        few_models: how many the sides train that go model by model, whose time per model-epoch does not depend on it.
        data: a built-in dataset's name, or how to make one up.
    """

    name: str
    architecture: Architecture
    hyperparameters: Hyperparameters
    models: int
    few_models: int
    data: str | Synthetic

    def dataset(self) -> Dataset:
        """What the models learn.

        Raises:
            DataError: MNIST's files are not in `$ZOO_DATA_DIR/mnist/`.
        """
        if isinstance(self.data, Synthetic):
            return _synthetic(self.name, self.architecture, self.data)
        directory = os.environ.get("ZOO_DATA_DIR")
        return load_dataset(self.data, Path(directory) if directory else None)

    @property
    def rows(self) -> tuple[int, int]:
        """Training and test images."""
        if isinstance(self.data, Synthetic):
            return self.data.train_rows, self.data.test_rows
        facts = BUILT_IN[self.data]
        return facts.train_rows, facts.test_rows

    @property
    def evaluations_per_epoch(self) -> float:
        """Every side evaluates before the first epoch too."""
        return (self.hyperparameters.epochs + 1) / self.hyperparameters.epochs


@dataclass(frozen=True)
class Cost:
    """What one model-epoch of a work takes, by formula.

    Attributes:
        operations: floating point operations of the matrix products and convolutions, an addition and a
            multiplication each counted: forward and backward of training, forward of the evaluation of all training
            and test images. Activations, losses and the optimiser's arithmetic are not counted.
        traffic_bytes: bytes to and from memory if only what must outlive a layer leaves the cache: images gathered,
            outputs of layers written and read again by the backward pass, weights, gradients and the optimiser's
            state read and written once per step.
    """

    operations: float
    traffic_bytes: float


def cost(work: Work) -> Cost:
    """Count a model-epoch of a work from the shapes that one image takes through its network."""
    forward, first, outputs = _layers(work.architecture)
    train_rows, test_rows = work.rows
    # Backward: the gradients of the weights and of the inputs cost a forward pass each; nobody needs the images'.
    training = 3 * forward - first
    evaluated = (train_rows + test_rows) * work.evaluations_per_epoch
    how = work.hyperparameters
    steps = -(-train_rows // how.batch_size)
    moments = {"sgd": 1 if how.momentum else 0, "rmsprop": 1, "adam": 2, "adamw": 2}[how.optimizer]
    pixels = prod(work.architecture.input_shape)
    floats = (
        train_rows * (3 * pixels + 2 * outputs)  # an image is read, gathered into its batch, and read from there
        + steps * work.architecture.dimension * 2 * (2 + moments)
        + evaluated * pixels
    )
    return Cost(train_rows * training + evaluated * forward, FLOAT_BYTES * floats)


def works() -> dict[str, Work]:
    """All works by name; those named gpu-… are too large for a CPU and need no files."""
    mnist_mlp = Architecture("mlp", (1, 28, 28), 10, hidden=(10,))
    cnn = Architecture("cnn-s", (1, 28, 28), 10)
    sgd = Hyperparameters("sgd", 0.01, 64, 2, momentum=0.9)
    adam = Hyperparameters("adam", 3e-4, 10, 2)
    like_mnist = Synthetic(8_000, 2_000, noise=3.0)
    listed = (
        Work(
            "digits",
            Architecture("mlp", (1, 8, 8), 10, hidden=(16,)),
            Hyperparameters("adam", 1e-3, 64, 25),
            models=512,
            few_models=128,
            data="digits",
        ),
        Work(
            "tetris",
            Architecture("mlp", (1, 4, 4), 4, hidden=(5,), bias=False),
            Hyperparameters("adam", 3e-3, 50, 50),
            models=4_096,
            few_models=32,
            data="tetris",
        ),
        Work("cnn64", cnn, sgd, models=8, few_models=8, data="mnist-10k"),
        Work("cnn10", cnn, adam, models=8, few_models=8, data="mnist-10k"),
        Work(
            "gpu-mlp",
            mnist_mlp,
            replace(sgd, epochs=5),
            models=4_096,
            few_models=4,
            data=replace(like_mnist, noise=6.0),
        ),
        Work("gpu-cnn64", cnn, replace(sgd, epochs=5), models=1_024, few_models=4, data=like_mnist),
        Work("gpu-cnn10", cnn, adam, models=1_024, few_models=2, data=like_mnist),
        Work(
            "gpu-resnet18",
            Architecture("resnet-18", (3, 32, 32), 10),
            Hyperparameters("sgd", 0.05, 128, 2, momentum=0.9, weight_decay=5e-4),
            models=8,
            few_models=2,
            data=Synthetic(5_120, 1_024, noise=6.0),
        ),
    )
    return {work.name: work for work in listed}


def chosen_work(name: str, models: int | None, epochs: int | None) -> Work:
    """A work by name, with other numbers of models and epochs where they are given.

    Raises:
        ConfigError: a number below 1.
    """
    for option, number in (("--models", models), ("--epochs", epochs)):
        if number is not None and number < 1:
            raise ConfigError(f"{option}: got {number}, expected 1 or more")
    work = works()[name]
    hyperparameters = replace(work.hyperparameters, epochs=epochs or work.hyperparameters.epochs)
    models = models or work.models
    return replace(work, hyperparameters=hyperparameters, models=models, few_models=min(work.few_models, models))


def sample(dataset: Dataset) -> Dataset:
    """The first rows of a dataset, to time a choice on."""
    return replace(
        dataset,
        train_images=dataset.train_images[:SAMPLE_TRAIN_ROWS],
        train_labels=dataset.train_labels[:SAMPLE_TRAIN_ROWS],
        test_images=dataset.test_images[:SAMPLE_TEST_ROWS],
        test_labels=dataset.test_labels[:SAMPLE_TEST_ROWS],
    )


def shares(models: int, workers: int) -> list[list[int]]:
    """The seeds 0 … models - 1 in as many nearly equal, contiguous shares as there are workers.

    >>> shares(5, 2)
    [[0, 1, 2], [3, 4]]
    """
    return [part.tolist() for part in np.array_split(np.arange(models), workers)]


def _layers(architecture: Architecture) -> tuple[int, int, int]:
    """Operations of an image's forward pass, those of the first layer alone, and the floats that all layers put out."""
    operations: list[int] = []
    outputs: list[int] = []

    def count(module: nn.Module, _: Sequence[Tensor], output: Tensor) -> None:
        outputs.append(output.numel())
        if isinstance(module, nn.Conv2d | nn.Linear):
            operations.append(2 * output.numel() * module.weight[0].numel())

    network = build(architecture).eval()
    for module in network.modules():
        if not list(module.children()) and not isinstance(module, nn.Flatten | nn.Dropout | nn.Identity):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, *architecture.input_shape))
    return sum(operations), operations[0], sum(outputs)


def _synthetic(name: str, architecture: Architecture, made: Synthetic) -> Dataset:
    generator = np.random.default_rng(0)
    channels, height, width = architecture.input_shape
    coarse = generator.normal(size=(architecture.classes, channels, height // _COARSE, width // _COARSE))
    patterns = np.kron(coarse, np.ones((_COARSE, _COARSE))).astype(np.float32)

    def draw(rows: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        labels = generator.integers(architecture.classes, size=rows)
        noise = generator.standard_normal(size=(rows, channels, height, width), dtype=np.float32)
        return patterns[labels] + np.float32(made.noise) * noise, labels

    return Dataset(name, architecture.classes, *draw(made.train_rows), *draw(made.test_rows))
