"""Waves: the rows of as many buckets as there is memory for are brought together from all shares and worked on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.buckets import Buckets
from zoo_pipeline.trajectories.crew import Crew

Read = Callable[[int], Iterator[NDArray[np.float32]]]
Work = Callable[[Any, NDArray[np.float32], str], Any]  # of what is known of a bucket, its rows, and the device


@dataclass(frozen=True)
class _Block:
    """Rows of one share for one part of a wave: float32[m, d], and their slots int64[m], ascending."""

    slots: NDArray[np.int64]
    rows: NDArray[np.float32]


@dataclass(frozen=True)
class _Part:
    """Buckets of a wave that are worked on by one worker: where each begins and ends, and what is known of it."""

    starts: list[int]
    stops: list[int]
    known: list[Any]


@dataclass(frozen=True)
class Waves:
    """How buckets get their rows.

    Attributes:
        read: the rows of one share, float32[m, d] at a time.
        slots: of each share, the slots of its rows, int64[m]; −1 for rows that belong nowhere.
        buckets: where the rows go.
        dimension: weights of a row.
        memory_bytes: for the rows that are held at once.
        crew: who reads and works.
        tell: told how many more rows have been worked on.
    """

    read: Read
    slots: Sequence[NDArray[np.int64]]
    buckets: Buckets
    dimension: int
    memory_bytes: int
    crew: Crew
    tell: Callable[[int], None]

    def work(self, work: Work, chosen: NDArray[np.int64], known: Sequence[Any]) -> list[Any]:
        """Work on some buckets.

        Args:
            work: gets what is known of a bucket, its rows float32[m, d] by slot, and where to compute.
            chosen: int64[b], the buckets, ascending.
            known: of each.

        Returns:
            The results, bucket by bucket.

        Raises:
            ZooError: there is not enough memory for a single bucket.
        """
        known_of = dict(zip(chosen.tolist(), known, strict=True))
        bounds = self.buckets.bounds
        results: list[Any] = []
        if not len(chosen):
            return results
        for wave in self.buckets.waves(chosen, 4 * self.dimension, self.memory_bytes, self.crew.workers):
            part_of = np.full(len(bounds), -1)  # one more for rows that belong nowhere
            for number, some in enumerate(wave):
                part_of[some] = number
            parts = [
                _Part(bounds[some].tolist(), bounds[some + 1].tolist(), [known_of[bucket] for bucket in some.tolist()])
                for some in wave
            ]
            give = partial(_given, self.read, bounds, part_of, len(wave))
            worked = self.crew.exchange(give, list(enumerate(self.slots)), partial(_taken, work), parts)
            for part, found in zip(parts, worked, strict=True):
                results += found
                self.tell(sum(part.stops) - sum(part.starts))
        return results


def _given(
    read: Read, bounds: NDArray[np.int64], part_of: NDArray[np.int64], parts: int, share: tuple[int, NDArray[np.int64]]
) -> list[_Block]:
    """The rows of one share that belong to a wave, by its parts."""
    number, slots = share
    part = part_of[np.where(slots >= 0, np.searchsorted(bounds, slots, "right") - 1, -1)]
    chosen = np.flatnonzero(part >= 0)
    order = chosen[np.lexsort((slots[chosen], part[chosen]))]
    place = np.full(len(slots), -1)
    place[order] = np.arange(len(order))
    rows: NDArray[np.float32] | None = None
    start = 0
    for some in read(number) if len(order) else ():
        if rows is None:
            rows = np.empty((len(order), some.shape[1]), np.float32)
        to = place[start : start + len(some)]
        if (to >= 0).all():
            rows[to] = some
        else:
            rows[to[to >= 0]] = some[to >= 0]
        start += len(some)
    if rows is None:
        rows = np.empty((0, 0), np.float32)
    cuts = np.cumsum(np.bincount(part[chosen], minlength=parts))[:-1]
    return [_Block(*block) for block in zip(np.split(slots[order], cuts), np.split(rows, cuts), strict=True)]


def _taken(work: Work, part: _Part, blocks: Sequence[_Block], *, device: str) -> list[Any]:
    """The results of one part."""
    results = []
    for start, stop, known in zip(part.starts, part.stops, part.known, strict=True):
        rows: NDArray[np.float32] | None = None
        for block in blocks:
            first, last = np.searchsorted(block.slots, [start, stop])
            if first == last:
                continue
            if rows is None:
                rows = np.empty((stop - start, block.rows.shape[1]), np.float32)
            rows[block.slots[first:last] - start] = block.rows[first:last]
        assert rows is not None
        results.append(work(known, rows, device))
    return results
