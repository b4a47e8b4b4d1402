"""The networks that scenarios train, and what they learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.architecture import CNNS, Architecture
from zoo_pipeline.data import Dataset, load_dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.training import Engine, GroupTraining, Member

_STACKED_CNNS, _STACKED_MLPS = 1, 64
_KEPT_ZOOS = 8  # in memory: scenarios that damage or thin one zoo need not train it again


@dataclass(frozen=True)
class Problem:
    """A network and its data.

    Attributes:
        architecture: of every model.
        dataset: a name of `zoo_pipeline.data.BUILT_IN`.
    """

    architecture: Architecture
    dataset: str

    @property
    def layout(self) -> Layout:
        """Which column of the weights belongs to which tensor."""
        return Layout.of(self.architecture.tensors)

    @property
    def needs_files(self) -> bool:
        """Whether MNIST's files have to be there."""
        return self.dataset.startswith("mnist")

    def training(
        self, members: Sequence[Member], data_dir: Path | None, starts: NDArray[np.float32] | None = None
    ) -> GroupTraining:
        """Begin to train models of one computation.

        Raises:
            DataError: the data's files are missing or damaged.
        """
        # Never chosen by timing: the size of a stack can decide the last bits.
        engine = Engine(stack=_STACKED_CNNS if self.architecture.name in CNNS else _STACKED_MLPS)
        return GroupTraining(self.architecture, members, _load(self.dataset, data_dir), engine, starts=starts)


DIGITS = Problem(Architecture("mlp", (1, 8, 8), 10, hidden=(16,)), "digits")  # d = 1,210
DEEP = Problem(Architecture("mlp", (1, 8, 8), 10, hidden=(16, 12)), "digits")  # d = 1,374
TETRIS = Problem(Architecture("mlp", (1, 4, 4), 4, hidden=(5,), bias=False), "tetris")  # d = 100
MNIST = Problem(Architecture("mlp", (1, 28, 28), 10, hidden=(10,)), "mnist-10k")  # d = 7,960
CNN = Problem(Architecture("cnn-s", (1, 28, 28), 10), "mnist-10k")  # d = 2,464

SGD = Hyperparameters("sgd", 0.05, 64, 50, momentum=0.9)
ADAM = Hyperparameters("adam", 3e-3, 64, 50)
TETRIS_ADAM = Hyperparameters("adam", 3e-3, 50, 50)
MNIST_SGD = Hyperparameters("sgd", 0.1, 64, 25, data_fraction=0.3)  # first steps longer than between initialisations
MNIST_ADAM = Hyperparameters("adam", 3e-3, 64, 25, data_fraction=0.3)
CNN_SGD = Hyperparameters("sgd", 0.02, 16, 15, momentum=0.9, data_fraction=0.08)
CNN_ADAM = Hyperparameters("adam", 3e-3, 16, 15, data_fraction=0.08)


def train_paths(
    problem: Problem,
    members: Sequence[Member],
    data_dir: Path | None,
    starts: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Train models, whichever computations they need, for equally many epochs.

    Args:
        problem: what they are and learn.
        members: the models.
        data_dir: where MNIST's files are.
        starts: float32[models, d], where they start from; None draws each one's own initialisation.

    Returns:
        float32[models, epochs + 1, d], read only.

    Raises:
        DataError: the data's files are missing or damaged.
    """
    if starts is None:
        return _own_starts(problem, tuple(members), data_dir)
    return _paths(problem, members, data_dir, starts)


def initial_weights(problem: Problem, members: Sequence[Member], data_dir: Path | None) -> NDArray[np.float32]:
    """The initialisations of models of one computation, float32[models, d].

    Raises:
        DataError: as in `train_paths`.
    """
    return problem.training(members, data_dir).weights()


def train_finals(problem: Problem, members: Sequence[Member], data_dir: Path | None) -> NDArray[np.float32]:
    """Train models of one computation and keep their last checkpoints alone, float32[models, d].

    Raises:
        DataError: as in `train_paths`.
    """
    training = problem.training(members, data_dir)
    while training.epoch < members[0].hyperparameters.epochs:
        training.advance()
    return training.weights()


@lru_cache(maxsize=_KEPT_ZOOS)
def _own_starts(problem: Problem, members: tuple[Member, ...], data_dir: Path | None) -> NDArray[np.float32]:
    return _paths(problem, members, data_dir, None)


def _paths(
    problem: Problem, members: Sequence[Member], data_dir: Path | None, starts: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    epochs = members[0].hyperparameters.epochs
    paths = np.empty((len(members), epochs + 1, problem.architecture.dimension), np.float32)
    computations = [member.hyperparameters.computation for member in members]
    for computation in dict.fromkeys(computations):
        alike = [number for number, other in enumerate(computations) if other == computation]
        own = None if starts is None else starts[alike]
        training = problem.training([members[number] for number in alike], data_dir, own)
        paths[alike, 0] = training.weights()
        while training.epoch < epochs:
            training.advance()
            paths[alike, training.epoch] = training.weights()
    paths.setflags(write=False)
    return paths


@lru_cache
def _load(name: str, data_dir: Path | None) -> Dataset:
    return load_dataset(name, data_dir)
