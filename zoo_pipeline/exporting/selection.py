"""Which checkpoints of a run are exported: `--models` and `--epochs` held against what is there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.store.moments import last_of_models

LAST = "last"  # of epochs: the last that each model has
Numbers = tuple[tuple[int, int], ...]  # ranges, both ends included
_RANGE = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?")


@dataclass(frozen=True)
class Contents:
    """What one shard holds, row by row.

    Attributes:
        shard: its name in the run.
        shard_bytes: that it must have; None where nobody says.
        buffers: the file of its buffers, None where there is none.
        buffers_bytes: that it must have.
        model_id: int32[n].
        epoch: int32[n]; −1: unknown.
        step: int64[n], optimiser steps; −1: unknown.
        validation: which metrics of a validation it has, which only some runs do.
    """

    shard: str
    shard_bytes: int | None
    buffers: str | None
    buffers_bytes: int | None
    model_id: NDArray[np.int32]
    epoch: NDArray[np.int32]
    step: NDArray[np.int64]
    validation: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ChosenRows:
    """The chosen rows of one shard, at least one.

    Attributes:
        contents: of the shard.
        rows: int64[k], ascending.
        by_step: bool[k], which of them are named by their step: they have no epoch, or are not the only one of it.
    """

    contents: Contents
    rows: NDArray[np.int64]
    by_step: NDArray[np.bool_]

    def where(self, keep: NDArray[np.bool_]) -> Self:
        """Those of the rows for which bool[k] says so."""
        return replace(self, rows=self.rows[keep], by_step=self.by_step[keep])

    @property
    def models(self) -> NDArray[np.int32]:
        """The ids of its models, int32[m], ascending."""
        return np.unique(self.contents.model_id[self.rows])


def numbers(option: str, text: str) -> Numbers:
    """Numbers and ranges as a user writes them.

    Raises:
        ConfigError: it is none of that.

    Example:
        >>> numbers("--models", "0,1,5-9")
        ((0, 0), (1, 1), (5, 9))
    """
    found = []
    for word in text.split(","):
        match = _RANGE.fullmatch(word)
        first, last = (match[1], match[2] or match[1]) if match else ("1", "0")
        if int(first) > int(last):
            raise ConfigError(f"{option} {text}: got {word!r}, expected numbers and ranges such as 0,1,5-9")
        found.append((int(first), int(last)))
    return tuple(found)


def select(
    contents: Sequence[Contents], models: str | None = None, epochs: str | None = None, *, by_epoch: bool = False
) -> list[ChosenRows]:
    """The rows of each shard that are asked for; shards without any are left out.

    Args:
        contents: of all shards.
        models: numbers and ranges; None for all.
        epochs: likewise, or "last".
        by_epoch: whether checkpoints must have an epoch.

    Raises:
        ConfigError: not numbers, a model or epoch that is not there, or no checkpoint has both.
        StoreError: one is of an unknown model, or of an unknown epoch where it must have one.
    """
    ids = np.concatenate([shard.model_id for shard in contents])
    of_ids = np.concatenate([shard.epoch for shard in contents])
    steps = np.concatenate([shard.step for shard in contents])
    chosen = np.ones(len(ids), dtype=bool)
    if models is not None:
        chosen &= _among("--models", models, ids, "model")
    if epochs is not None and epochs.strip() == LAST:
        chosen &= last_of_models(ids, of_ids, steps)
    elif epochs is not None:
        chosen &= _among("--epochs", epochs, of_ids, "epoch")
    if not chosen.any():
        raise ConfigError(f"--models {models} --epochs {epochs}: no checkpoint of the run is both; choose others")
    if (np.minimum(ids, of_ids if by_epoch else ids)[chosen] < 0).any():
        raise StoreError(
            f"some checkpoints are of a model{' or epoch' if by_epoch else ''} that no name says (-1); import them "
            f"again with --pattern, or choose others by --models and --epochs"
        )
    ends = np.cumsum([len(shard.model_id) for shard in contents])[:-1]
    pieces = zip(contents, np.split(chosen, ends), np.split(of_ids < 0, ends), strict=True)
    return [ChosenRows(shard, np.flatnonzero(piece), of[piece]) for shard, piece, of in pieces if piece.any()]


def _among(option: str, text: str, there: NDArray[np.int32], noun: str) -> NDArray[np.bool_]:
    """Which values lie in the ranges; a number of a range that no value has is refused."""
    known, chosen = np.unique(there), np.zeros(len(there), dtype=bool)
    for first, last in numbers(option, text):
        inside = known[(known >= first) & (known <= last)]
        if len(inside) < last - first + 1:
            gaps = np.flatnonzero(inside != np.arange(first, first + len(inside)))
            missing = first + (int(gaps[0]) if len(gaps) else len(inside))
            raise ConfigError(f"{option} {text}: the run has no {noun} {missing}; there are {_spoken(known)}")
        chosen |= (there >= first) & (there <= last)
    return chosen


def _spoken(known: NDArray[np.int32], most: int = 6) -> str:
    """Ascending numbers as ranges, the first few of them."""
    runs = np.split(known, np.flatnonzero(np.diff(known) != 1) + 1)
    words = [f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return ", ".join(words[:most]) + (f" and more, up to {known[-1]}" if len(words) > most else "")
