"""Zoos with forks to learn from what forks look like: all that may tell is drawn at random, and is of no scenario."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.trajectories.scenarios import KnownBag
from zoo_pipeline.trajectories.scenarios.branching import forks
from zoo_pipeline.trajectories.scenarios.problems import DEEP, DIGITS, MNIST, TETRIS, Problem
from zoo_pipeline.trajectories.scenarios.seeding import Seeding

PROBLEMS = ((DIGITS, 0.4), (DEEP, 0.25), (MNIST, 0.2), (TETRIS, 0.15))
EPOCHS = (12, 36)
FAMILIES = 6
RATES = {"sgd": (-2.5, -0.8), "adam": (-3.5, -2.0), "adamw": (-3.5, -2.0)}  # decimal exponents
WITHOUT_MOMENTUM = 0.5  # decimal exponent by which rates are larger
DECAYS = (-5.0, -2.5)
CHANGES = {"seed": 0.3, "rate": 0.4, "labels": 0.1, "images": 0.1, "optimizer": 0.1}
RATIOS = (-1.0, 1.0)


def train_zoo(seed: int, data_dir: Path | None) -> KnownBag | None:
    """Train the zoo of a seed; None where a model diverged and, without `data_dir`, where it is of MNIST."""
    rng = np.random.default_rng([seed, 0xF0])
    problem = PROBLEMS[rng.choice(len(PROBLEMS), p=[share for _, share in PROBLEMS])][0]
    how = _drawn(rng, problem)
    generations = int(rng.choice([1, 2], p=[0.7, 0.3]))
    number = int(rng.integers(1, 3) if generations > 1 else rng.integers(2, 5))
    children = [_changed(rng, how) for _ in range(number)]
    if problem.needs_files and data_dir is None:
        return None
    (bag,) = forks(problem, how, children, FAMILIES, Seeding(seed, FAMILIES, data_dir), generations=generations)
    return bag if np.isfinite(bag.weights).all() else None


def _drawn(rng: np.random.Generator, problem: Problem) -> Hyperparameters:
    """How parents are trained."""
    optimizer = str(rng.choice(["sgd", "adam", "adamw"], p=[0.6, 0.25, 0.15]))
    momentum = float(rng.choice([0.0, 0.5, 0.9])) if optimizer == "sgd" else 0.0
    rate = rng.uniform(*RATES[optimizer]) + WITHOUT_MOMENTUM * (optimizer == "sgd" and momentum < 0.9)
    return Hyperparameters(
        optimizer,
        float(10**rate),
        batch_size=int(rng.choice([20, 50] if problem is TETRIS else [32, 64, 128])),
        epochs=int(rng.integers(*EPOCHS)),
        momentum=momentum,
        weight_decay=float(10 ** rng.uniform(*DECAYS)) if rng.random() < 0.4 else 0.0,
        activation=str(rng.choice(["tanh", "relu"])),
        data_fraction=float(rng.choice([0.3, 0.6, 1.0])) if problem is MNIST else 1.0,
    )


def _changed(rng: np.random.Generator, how: Hyperparameters) -> Hyperparameters:
    """How a fork is trained: as its parent, but with another seed, and often with one more thing changed."""
    change = str(rng.choice(list(CHANGES), p=list(CHANGES.values())))
    if change == "rate" or (change in ("labels", "images") and rng.random() < 0.5):
        how = replace(how, learning_rate=how.learning_rate * float(10 ** rng.uniform(*RATIOS)))
    if change == "labels":
        return replace(how, label_noise=float(rng.uniform(0.1, 0.4)))
    if change == "images":
        return replace(how, data_fraction=how.data_fraction * float(rng.uniform(0.3, 0.8)))
    if change == "optimizer" and how.optimizer == "sgd":
        return replace(how, optimizer="adam", momentum=0.0, learning_rate=float(10 ** rng.uniform(*RATES["adam"])))
    if change == "optimizer":
        return replace(how, optimizer="sgd", momentum=0.9, learning_rate=float(10 ** rng.uniform(*RATES["sgd"])))
    return how
