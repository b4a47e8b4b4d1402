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


def _generator(seed: int, purpose: str) -> torch.Generator:
    # Hashed, because torch's generators are correlated for seeds that differ in few bits.
    state = hashlib.sha256(f"{seed} {purpose}".encode()).digest()[:8]
    return torch.Generator().manual_seed(int.from_bytes(state, "little") >> 1)
