"""Where a model's randomness comes from: its seed and a purpose, nothing else.

Every draw has a generator of its own, so that a model starts and sees its data in the same order whichever models
it is trained with, on whichever device, and from whichever epoch a run goes on.
"""

import hashlib

import torch
from torch import Tensor


def initialisation_generator(seed: int) -> torch.Generator:
    """The generator of a model's epoch 0."""
    return _generator(seed, "initialisation")


def data_order(seed: int, epoch: int, rows: int) -> Tensor:
    """The order in which a model sees its training rows in one epoch: a permutation int64[rows]."""
    return torch.randperm(rows, generator=_generator(seed, f"order {epoch}"))


def dropout_key(seed: int, epoch: int) -> int:
    """The number that a model's dropout masks of one epoch follow from: −2³¹ … 2³¹ − 1."""
    return int.from_bytes(_digest(seed, f"dropout {epoch}")[:4], "little", signed=True)


def noisy_labels(seed: int, labels: Tensor, classes: int, fraction: float) -> Tensor:
    """A model's training labels int64[rows], that share of them (rounded) replaced by other classes, for good."""
    generator = _generator(seed, "label noise")
    replaced = torch.randperm(len(labels), generator=generator)[: round(fraction * len(labels))]
    shift = torch.randint(1, classes, (len(replaced),), generator=generator)
    noisy = labels.clone()
    noisy[replaced] = (labels[replaced] + shift) % classes
    return noisy


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(int.from_bytes(_digest(seed, purpose)[:8], "little") >> 1)


def _digest(seed: int, purpose: str) -> bytes:
    # Hashed, because torch's generators are correlated for seeds that differ in few bits.
    return hashlib.sha256(f"{seed} {purpose}".encode()).digest()
