"""Zoos to learn the direction from: every model is a configuration of its own; whole cells of them are held out."""

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import floor, log10
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import load_dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.training import Engine, Member, train_group

OPTIMIZERS, ACTIVATIONS = ("sgd", "adam", "adamw"), ("tanh", "relu")
INITIALISATIONS = {"default": 0.4, "kaiming_uniform": 0.2, "kaiming_normal": 0.2, "uniform": 0.1, "normal": 0.1}
SCHEDULES = {"constant": 0.7, "cosine": 0.1, "step": 0.1, "onecycle": 0.1}
LEARNING_RATES = (-4.0, -1.0)  # decimal exponents
WEIGHT_DECAYS = {"sgd": (-4.0, -1.0), "adam": (-4.0, -1.0), "adamw": (-2.0, 0.5)}  # of the half that have any
TEST_IMAGES = 100  # nothing here looks at accuracies but to tell trained models from others
STACK = 16
SHUFFLED = "shuffled"
SPLITS = ("train",) * 6 + ("validation",) * 2 + ("test",) * 2


@dataclass(frozen=True)
class Kind:
    """One architecture on one dataset; `shapes` are its batch sizes and epochs, one per round."""

    name: str
    architecture: Architecture
    data: str
    data_fraction: float
    shapes: tuple[tuple[int, int], ...]
    models: int


KINDS = (
    Kind("tetris", Architecture("mlp", (1, 4, 4), 4, hidden=(5,), bias=False), "tetris", 1.0, ((50, 50), (20, 25)), 48),
    Kind("digits", Architecture("mlp", (1, 8, 8), 10, hidden=(16,)), "digits", 1.0, ((64, 40), (32, 25)), 48),
    Kind("deep", Architecture("mlp", (1, 8, 8), 10, hidden=(16, 12)), "digits", 1.0, ((32, 40), (64, 25)), 48),
    Kind("mnist", Architecture("mlp", (1, 28, 28), 10, hidden=(10,)), "mnist-10k", 0.1, ((25, 25), (50, 40)), 32),
    Kind("cnn-s", Architecture("cnn-s", (1, 28, 28), 10), "mnist-10k", 0.05, ((20, 25), (20, 20)), 16),
)


@dataclass(frozen=True)
class Trajectory:
    """One model's path float32[epochs + 1, d], how it was trained, and what it is for."""

    kind: str
    weights: NDArray[np.float32]
    layout: Layout
    hyperparameters: Hyperparameters
    test_accuracy: float

    @property
    def split(self) -> str:
        """Train, validation or test: the same for all models whose configurations are cells of one grid."""
        how = self.hyperparameters
        half_decade = floor(2 * log10(how.learning_rate))
        cell = (self.kind, how.optimizer, how.activation, how.initialisation, half_decade, how.weight_decay > 0)
        return SPLITS[zlib.crc32(repr(cell).encode()) % len(SPLITS)]


def train_zoos(seed: int) -> Iterator[list[Trajectory]]:
    """Train the zoos of all kinds, a group at a time; diverged models are left out."""
    directory = os.environ.get("ZOO_DATA_DIR")
    rng = np.random.default_rng(seed)
    for kind in KINDS:
        dataset = load_dataset(kind.data, Path(directory) if directory else None)
        dataset = replace(
            dataset, test_images=dataset.test_images[:TEST_IMAGES], test_labels=dataset.test_labels[:TEST_IMAGES]
        )
        for shape, optimizer, activation in product(kind.shapes, OPTIMIZERS, ACTIVATIONS):
            members = [
                Member(int(rng.integers(2**31)), _drawn(rng, kind, shape, optimizer, activation))
                for _ in range(kind.models)
            ]
            history = train_group(kind.architecture, members, dataset, engine=Engine(stack=STACK))
            accuracy = history.metrics["test_accuracy"][:, -1].tolist()
            yield [
                Trajectory(kind.name, weights, Layout.of(kind.architecture.tensors), member.hyperparameters, correct)
                for member, weights, correct, diverged in zip(
                    members, history.weights, accuracy, history.diverged, strict=True
                )
                if not diverged
            ]


def _drawn(
    rng: np.random.Generator, kind: Kind, shape: tuple[int, int], optimizer: str, activation: str
) -> Hyperparameters:
    """A configuration drawn at random."""
    batch_size, epochs = shape
    schedule = str(rng.choice(list(SCHEDULES), p=list(SCHEDULES.values())))
    return Hyperparameters(
        optimizer=optimizer,
        learning_rate=float(10 ** rng.uniform(*LEARNING_RATES)),
        batch_size=batch_size,
        epochs=epochs,
        momentum=float(rng.choice([0.0, 0.9])) if optimizer == "sgd" else 0.0,
        weight_decay=float(10 ** rng.uniform(*WEIGHT_DECAYS[optimizer])) if rng.random() < 0.5 else 0.0,
        activation=activation,
        initialisation=str(rng.choice(list(INITIALISATIONS), p=list(INITIALISATIONS.values()))),
        data_fraction=kind.data_fraction,
        schedule=schedule,
        schedule_epochs=int(rng.integers(4, 10)) if schedule == "step" else 0,
        schedule_factor=0.3 if schedule == "step" else 0.0,
    )


def windows(checkpoints: int, rng: np.random.Generator) -> dict[str, NDArray[np.intp]]:
    """The parts of a path that are judged, as checkpoints kept; `SHUFFLED`, which has no direction, among them."""
    every = np.arange(checkpoints)
    middle = checkpoints // 2
    return {
        "whole": every,
        "last 12": every[-12:],
        "last 6": every[-6:],
        "first 12": every[:12],
        "middle 12": every[middle - 6 : middle + 6],
        "without first 10": every[10:],
        "every 2nd": every[::2],
        "every 5th": every[::5],
        "every 10th": every[::10],
        "random half": np.sort(rng.choice(checkpoints, checkpoints // 2, replace=False)),
        SHUFFLED: rng.permutation(checkpoints),
    }
