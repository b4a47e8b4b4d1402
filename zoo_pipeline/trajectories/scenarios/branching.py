"""Models that start together: shared seeds, one common initialisation, forks and fine-tunes."""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.training import Member
from zoo_pipeline.trajectories.scenarios.known import Fork, KnownBag, known_bag
from zoo_pipeline.trajectories.scenarios.problems import Problem, initial_weights, train_paths
from zoo_pipeline.trajectories.scenarios.seeding import Seeding

SHARED_GRID = tuple(
    Hyperparameters("adam", rate, 64, 25, weight_decay=decay, activation=activation)
    for rate, decay, activation in product((1e-3, 3e-3), (0.0, 1e-3), ("tanh", "relu"))
)
_LEAST_OWN = 3  # checkpoints of a parent before and behind a fork


def shared_seeds(problem: Problem, points: Sequence[Hyperparameters], seeds: int, seeding: Seeding) -> tuple[KnownBag]:
    """Every point of a grid with the same seeds: equal initialisations and data orders."""
    members = [Member(seed, point) for seed in seeding.network_seeds(seeding.starts or seeds) for point in points]
    family = [number // len(points) * len(points) for number in range(len(members))]
    paths = train_paths(problem, members, seeding.data_dir)
    return (known_bag(list(paths), problem.layout, seeding.generator("rows"), family=family),)


def common_start(problem: Problem, how: Hyperparameters, orders: int, seeding: Seeding) -> tuple[KnownBag]:
    """So many models from one initialisation, each with a data order of its own; one family unless more are asked."""
    families = seeding.starts or 1
    members = [Member(seed, how) for seed in seeding.network_seeds(families * orders)]
    first = [number // orders * orders for number in range(len(members))]  # of its family
    initial = initial_weights(problem, members[::orders], seeding.data_dir)
    paths = train_paths(problem, members, seeding.data_dir, np.repeat(initial, orders, axis=0))
    return (known_bag(list(paths), problem.layout, seeding.generator("rows"), family=first),)


def forks(
    problem: Problem,
    how: Hyperparameters,
    children: Sequence[Hyperparameters],
    parents: int,
    seeding: Seeding,
    *,
    generations: int = 1,
) -> tuple[KnownBag]:
    """Models that go on from a checkpoint of another, each from a random epoch, with a seed of its own.

    Args:
        problem: what all learn.
        how: the parents are trained.
        children: how those of each parent are trained, one for each entry.
        parents: how many.
        seeding: of the scenario.
        generations: of children; the second go on from checkpoints of the first.

    Returns:
        One bag; fork points lie at least three epochs from both ends of the parent.
    """
    number = seeding.starts or parents
    generator = seeding.generator("forks")
    paths = list(train_paths(problem, [Member(seed, how) for seed in seeding.network_seeds(number)], seeding.data_dir))
    origins: list[Fork | None] = [None] * number
    generation = range(number)
    for _ in range(generations):
        made = [Fork(model, _fork_epoch(paths[model], generator)) for model in generation for _ in children]
        seeds = seeding.network_seeds(len(made), first=len(paths))
        members = [Member(seed, how) for seed, how in zip(seeds, list(children) * len(generation), strict=True)]
        starts = np.stack([paths[fork.model][fork.epoch] for fork in made])
        generation = range(len(paths), len(paths) + len(made))
        paths += list(train_paths(problem, members, seeding.data_dir, starts))
        origins += made
    return (known_bag(paths, problem.layout, seeding.generator("rows"), forks=origins),)


def _fork_epoch(path: NDArray[np.float32], generator: np.random.Generator) -> int:
    return int(generator.integers(_LEAST_OWN, len(path) - _LEAST_OWN))
