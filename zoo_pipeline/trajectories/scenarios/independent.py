"""Models that start apart: seeds, grids, mixed scales, warm restarts, and networks that have nobody to belong to."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.training import Member
from zoo_pipeline.trajectories.scenarios.known import KnownBag, known_bag
from zoo_pipeline.trajectories.scenarios.problems import Problem, train_finals, train_paths
from zoo_pipeline.trajectories.scenarios.seeding import Seeding

# The published grid of MNIST and Fashion-MNIST (arXiv 2209.14764) at one of its two learning rates, in larger batches.
PUBLISHED_GRID = tuple(
    Hyperparameters(
        optimizer,
        1e-3,
        64,
        25,
        momentum=0.9 if optimizer == "sgd" else 0.0,
        weight_decay=decay,
        activation=activation,
        initialisation=initialisation,
        dropout=dropout,
    )
    for optimizer, activation, dropout, initialisation, decay in product(
        ("adam", "sgd"),
        ("tanh", "relu", "sigmoid", "gelu"),
        (0.0, 0.5),
        ("uniform", "normal", "kaiming_uniform", "kaiming_normal"),
        (1e-3, 1e-4),
    )
)


def grid(
    problem: Problem, points: Sequence[Hyperparameters], seeds_per_point: int, seeding: Seeding
) -> tuple[KnownBag]:
    """So many models of each point of a grid, every one with a seed of its own."""
    number = seeding.starts or seeds_per_point
    seeds = iter(seeding.network_seeds(number * len(points)))
    members = [Member(next(seeds), point) for point in points for _ in range(number)]
    paths = train_paths(problem, members, seeding.data_dir)
    return (known_bag(list(paths), problem.layout, seeding.generator("rows")),)


def restarts(problem: Problem, cycle: Hyperparameters, cycles: int, models: int, seeding: Seeding) -> tuple[KnownBag]:
    """Warm restarts: each cycle goes on from the weights of the one before with a fresh schedule and optimiser."""
    number = seeding.starts or models
    paths = train_paths(problem, _members(cycle, seeding.network_seeds(number)), seeding.data_dir)
    for further in range(1, cycles):
        members = _members(cycle, seeding.network_seeds(number, first=further * number))  # other data orders
        following = train_paths(problem, members, seeding.data_dir, paths[:, -1])
        paths = np.concatenate([paths, following[:, 1:]], axis=1)
    return (known_bag(list(paths), problem.layout, seeding.generator("rows")),)


def strangers(problem: Problem, how: Hyperparameters, networks: int, seeding: Seeding) -> tuple[KnownBag]:
    """Independent networks, of each the last checkpoint alone: nothing belongs together."""
    seeds = seeding.network_seeds(seeding.starts or networks)
    finals = train_finals(problem, _members(how, seeds), seeding.data_dir)
    bag = known_bag(list(finals[:, None]), problem.layout, seeding.generator("rows"))
    return (replace(bag, epoch=np.full_like(bag.epoch, how.epochs)),)


def _members(how: Hyperparameters, seeds: range) -> list[Member]:
    return [Member(seed, how) for seed in seeds]
