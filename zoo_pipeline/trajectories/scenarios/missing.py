"""Bags that lack pieces: thinned, beheaded, halved, down to single checkpoints or to the last ones alone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.distances import cosine_distances
from zoo_pipeline.trajectories.scenarios.known import KnownBag
from zoo_pipeline.trajectories.scenarios.seeding import Seeding

Maker = Callable[[Seeding], tuple[KnownBag, ...]]
Survivors = Callable[[KnownBag, np.random.Generator], NDArray[np.bool_]]


def missing(whole: Maker, survivors: Survivors, seeding: Seeding) -> tuple[KnownBag, ...]:
    """What is left of another scenario's bags.

    Args:
        whole: makes the bags.
        survivors: which rows are left, bool[n].
        seeding: of the scenario.

    Returns:
        The bags; models whose survivors are farther from each other than from strangers are not identifiable.
    """
    generator = seeding.generator("survivors")
    left = [bag.rows(survivors(bag, generator)) for bag in whole(seeding)]
    return tuple(replace(bag, identifiable=bag.identifiable & nearer_than_strangers(bag)) for bag in left)


def from_epoch(first: int) -> Survivors:
    """Nothing before an epoch is left."""
    return lambda bag, _: bag.epoch >= first


def every(epochs: int) -> Survivors:
    """Every so many epochs one checkpoint is left, the initialisation first."""
    return lambda bag, _: bag.epoch % epochs == 0


def last(checkpoints: int) -> Survivors:
    """The last so many checkpoints of each model are left."""

    def survive(bag: KnownBag, _: np.random.Generator) -> NDArray[np.bool_]:
        final = np.zeros(bag.models, np.int64)
        np.maximum.at(final, bag.model_id, bag.epoch)
        return bag.epoch > final[bag.model_id] - checkpoints

    return survive


def random_half(bag: KnownBag, generator: np.random.Generator) -> NDArray[np.bool_]:
    """A random half of all checkpoints is left."""
    chosen = np.zeros(len(bag.epoch), bool)
    chosen[generator.permutation(len(chosen))[: len(chosen) // 2]] = True
    return chosen


def some_single(bag: KnownBag, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Of half of the models one checkpoint is left, of the others all."""
    chosen = np.ones(len(bag.epoch), bool)
    for model in generator.permutation(bag.models)[: bag.models // 2]:
        rows = np.flatnonzero(bag.model_id == model)
        chosen[rows] = False
        chosen[generator.choice(rows)] = True
    return chosen


def nearer_than_strangers(bag: KnownBag) -> NDArray[np.bool_]:
    """Of which rows' models each two consecutive checkpoints are nearer to one another than to any other model's.

    Nearer by cosine, in full width. A model with one checkpoint fulfils it.

    Returns:
        bool[n].
    """
    distances = cosine_distances(bag.weights)
    order = np.lexsort((bag.epoch, bag.model_id))
    before, behind = order[:-1], order[1:]
    consecutive = bag.model_id[before] == bag.model_id[behind]
    before, behind = before[consecutive], behind[consecutive]
    strange = bag.model_id[:, None] != bag.model_id[None, :]
    stranger = np.min(distances, axis=1, where=strange, initial=np.inf)
    near = distances[before, behind] < np.minimum(stranger[before], stranger[behind])
    identifiable = np.ones(bag.models, bool)
    identifiable[bag.model_id[before[~near]]] = False
    return identifiable[bag.model_id]
