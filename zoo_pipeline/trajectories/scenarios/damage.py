"""Bags whose weights have suffered: rounded, noisy, pruned, copied."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from zoo_pipeline.trajectories.scenarios.known import KnownBag
from zoo_pipeline.trajectories.scenarios.missing import Maker
from zoo_pipeline.trajectories.scenarios.seeding import Seeding

Damage = Callable[[KnownBag, np.random.Generator], KnownBag]

NOISE = 0.01  # standard deviation of additive noise, in root mean squares of a row's weights
PRUNED = 0.5  # fraction of the weights
COPIED = 0.1  # fraction of the rows


def damaged(whole: Maker, damage: Damage, seeding: Seeding) -> tuple[KnownBag, ...]:
    """Another scenario's bags, damaged."""
    generator = seeding.generator("damage")
    return tuple(damage(bag, generator).shuffled(generator) for bag in whole(seeding))


def rounded_float16(bag: KnownBag, _: np.random.Generator) -> KnownBag:
    """All weights as half precision holds them."""
    return replace(bag, weights=bag.weights.astype(np.float16).astype(np.float32))


def rounded_bfloat16(bag: KnownBag, _: np.random.Generator) -> KnownBag:
    """All weights as bfloat16 holds them, with 8 bits of precision."""
    return replace(bag, weights=torch.tensor(bag.weights).bfloat16().float().numpy())


def noisy(bag: KnownBag, generator: np.random.Generator) -> KnownBag:
    """Normal noise on every weight of every checkpoint."""
    size = NOISE * np.sqrt(np.square(bag.weights, dtype=np.float64).mean(axis=1, keepdims=True))
    noise = size * generator.standard_normal(bag.weights.shape)
    return replace(bag, weights=(bag.weights + noise).astype(np.float32))


def pruned_at_the_end(bag: KnownBag, _: np.random.Generator) -> KnownBag:
    """Every model ends in a further checkpoint: its last one with the smallest weights set to zero."""
    final = np.zeros(bag.models, np.int64)
    np.maximum.at(final, bag.model_id, bag.epoch)
    ends = np.flatnonzero(bag.epoch == final[bag.model_id])
    weights = bag.weights[ends]
    smallest = np.argsort(np.abs(weights), axis=1, kind="stable")[:, : round(PRUNED * weights.shape[1])]
    np.put_along_axis(weights, smallest, 0.0, axis=1)
    both = bag.rows(np.concatenate([np.arange(len(bag.epoch)), ends]))
    return replace(
        both,
        weights=np.concatenate([bag.weights, weights]),
        epoch=np.concatenate([bag.epoch, bag.epoch[ends] + 1]),
    )


def copied(bag: KnownBag, generator: np.random.Generator) -> KnownBag:
    """Some rows are in the bag twice."""
    rows: NDArray[np.int64] = np.arange(len(bag.epoch))
    twice = generator.permutation(rows)[: round(COPIED * len(rows))]
    return bag.rows(np.concatenate([rows, twice]))
