"""Buckets: the rows that are compared in full width, apart from all others; and the file where they lie together."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import ZooError
from zoo_pipeline.trajectories.components import connected
from zoo_pipeline.trajectories.distances import MOST_CHECKPOINTS
from zoo_pipeline.trajectories.neighbours import alike
from zoo_pipeline.trajectories.sketch import Sketches

BUCKET_ROWS = 2_048  # of several components together; one that is larger has a bucket of its own
_ROW_COSINE = 0.5  # of two rows' sketches
_CENTRE_COSINE = 0.35  # of two components' centres: 5.6 standard deviations of unrelated sketches
_ROUNDS = 3


@dataclass(frozen=True)
class Buckets:
    """Which rows lie together.

    Attributes:
        slot: int64[n], place of every row; −1 for rows that are not finite. Those of a bucket follow each other.
        bounds: int64[b + 1], first slot of each bucket, and the end.
        components: int64[b], in each bucket, of rows that are alike by their sketches.
    """

    slot: NDArray[np.int64]
    bounds: NDArray[np.int64]
    components: NDArray[np.int64]

    @classmethod
    def of(cls, sketches: Sketches) -> "Buckets":
        """Put rows together that may belong together; the result follows the rows however they are shuffled.

        Raises:
            ZooError: more rows are all alike than one machine can compare.
        """
        finite = np.flatnonzero(sketches.finite)
        order = finite[np.argsort(sketches.keys[finite], kind="stable")]
        label = _components(sketches.units[order])
        sizes = np.bincount(label)
        if sizes.max(initial=0) > MOST_CHECKPOINTS:
            raise ZooError(
                f"analysis: {sizes.max():,} checkpoints are alike, one by one, and would be compared each with each; "
                f"expected at most {MOST_CHECKPOINTS:,}: analyse fewer at once"
            )
        bounds, components = _filled(sizes.tolist())
        slot = np.full(len(sketches.finite), -1)
        slot[order[np.argsort(label, kind="stable")]] = np.arange(len(order))
        return cls(slot, bounds, components)


class Spill:
    """A file of rows by slot, on a local disk."""

    def __init__(self, path: Path, dimension: int) -> None:
        self.path, self.dimension = path, dimension
        path.touch()

    def write(self, slots: NDArray[np.int64], rows: NDArray[np.float32]) -> None:
        """Put rows float32[m, d] into their slots; those of slot −1 are left out. Processes may write at once."""
        file = os.open(self.path, os.O_WRONLY)
        try:
            for slot, row in zip(slots.tolist(), np.ascontiguousarray(rows), strict=True):
                if slot >= 0:
                    os.pwrite(file, row.data, slot * row.nbytes)
        finally:
            os.close(file)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """The rows of a range of slots, float32[stop − start, d]."""
        count = (stop - start) * self.dimension
        rows = np.fromfile(self.path, np.float32, count, offset=start * self.dimension * 4)
        return rows.reshape(stop - start, self.dimension)


def _components(units: NDArray[np.float32]) -> NDArray[np.int32]:
    """Label rows by what connects those that are alike, and then components whose centres are alike."""
    label = connected(alike(units, _ROW_COSINE), len(units))
    for _ in range(_ROUNDS):
        centres = np.zeros((int(label.max(initial=-1)) + 1, units.shape[1]), np.float32)
        np.add.at(centres, label, units)
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), np.float32(1e-12))
        pairs = alike(centres, _CENTRE_COSINE)
        if not len(pairs):
            break
        label = connected(pairs, len(centres))[label]
    return label


def _filled(sizes: list[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Fill buckets with components, in their order: where buckets begin, and how many components each has."""
    bounds, end = [0], 0
    components: list[int] = []
    for size in sizes:
        if components and end + size - bounds[-1] <= BUCKET_ROWS:
            components[-1] += 1
        else:
            if components:
                bounds.append(end)
            components.append(1)
        end += size
    return np.array([*bounds, end] if components else [0]), np.array(components, np.int64)
