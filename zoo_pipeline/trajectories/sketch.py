"""Sketches: random projections that keep what the separation compares, in a small part of its memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.exchange import split_weights

WIDTH = 256  # cosines are right within 1/√WIDTH, one standard deviation
_SEED = 0
_KEY_COLUMNS = 64
_LARGEST = 127  # of a coordinate


@dataclass(frozen=True)
class Sketches:
    """What is kept of n rows.

    Attributes:
        codes: int8[n, WIDTH], the directions of the rows, each scaled so that its largest coordinate is ±127; 0 where
            a row has no direction, or is not finite.
        keys: uint64[n], numbers that follow from the weights alone, to order rows by.
        finite: bool[n], whether all weights are.
    """

    codes: NDArray[np.int8]
    keys: NDArray[np.uint64]
    finite: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: Sequence["Sketches"]) -> "Sketches":
        """The sketches of all rows, part by part."""
        none = cls(np.empty((0, WIDTH), np.int8), np.empty(0, np.uint64), np.empty(0, bool))
        return cls(
            *(np.concatenate(column) for column in zip(*(vars(part).values() for part in (none, *parts)), strict=True))
        )


def sketch(weights: NDArray[np.float32], layout: Layout | None, device: str = "cpu") -> Sketches:
    """Sketch rows float32[n, d]; every row's sketch is its own, whatever rows are beside it.

    What no renumbering of hidden units moves is left out, where the layout tells it.
    """
    finite = np.asarray(np.isfinite(weights.sum(axis=1)))  # a sum that overflows is looked at again
    finite[~finite] = np.isfinite(weights[~finite]).all(axis=1)
    held = np.where(finite[:, None], weights, np.float32(0))  # a copy: what is read from a file is not writable
    split = split_weights(held, layout, device)
    rows = torch.from_numpy(held).to(device) if split is None else split.rows
    projected = rows @ _projection(rows.shape[1], device)
    largest = projected.abs().amax(1, keepdim=True)
    codes = (projected * (_LARGEST / torch.where(largest == 0, 1.0, largest))).round_().to(torch.int8)
    return Sketches(codes.cpu().numpy(), _keys(held), finite)


@lru_cache(maxsize=1)
def _projection(features: int, device: str) -> torch.Tensor:
    """Random signs, the same for all rows and processes: float32[features, WIDTH]."""
    signs = np.random.default_rng(_SEED).choice(np.array([-1, 1], np.float32), (features, WIDTH))
    return torch.from_numpy(signs).to(device)


def _keys(weights: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Mix the bits of some columns; whole numbers, so that no rounding depends on the rows beside."""
    d = weights.shape[1]
    columns = np.linspace(0, d - 1, min(_KEY_COLUMNS, d)).astype(np.int64)
    bits = np.ascontiguousarray(weights[:, columns]).view(np.uint32).astype(np.uint64)
    factors = np.random.default_rng(_SEED).integers(2**63, size=len(columns), dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    mixed: NDArray[np.uint64] = (bits * factors).sum(axis=1, dtype=np.uint64)
    return (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
