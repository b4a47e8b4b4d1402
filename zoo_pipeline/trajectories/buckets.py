"""Buckets: the rows that are compared in full width, apart from all others; and the waves in which that is done."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.sparse import csr_array

from zoo_pipeline.counts import binary, plural
from zoo_pipeline.errors import ZooError
from zoo_pipeline.trajectories.components import connected
from zoo_pipeline.trajectories.crew import Crew
from zoo_pipeline.trajectories.distances import MOST_CHECKPOINTS
from zoo_pipeline.trajectories.neighbours import alike
from zoo_pipeline.trajectories.sketch import Sketches

BUCKET_ROWS = 512  # of several components together; one that is larger has a bucket of its own
PILED_ROWS = 4_096  # of a component that was too large; what is surely of one trajectory may be more
_ROW_COSINE = 0.5  # of two rows' sketches
_CENTRE_COSINE = 0.35  # of two components' centres: 5.6 standard deviations of unrelated sketches
_SURE_COSINE = 0.97  # networks of a hundred weights may be alike by chance, but not as much
_ROW_LISTS, _CENTRE_LISTS = 2, 4  # centres are few, so that more can be spent on each
_ROUNDS = 10  # at most; mostly nothing is left to be joined after a few
_SUMMED_ROWS = 65_536
_PARTS_PER_WORKER = 16
_BYTES_OF_A_PAIR = 8  # its distance, and what is made of it

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Buckets:
    """Which rows lie together.

    Attributes:
        slot: int64[n], place of every row; −1 for rows that are not finite. Those of a bucket follow each other.
        bounds: int64[b + 1], first slot of each bucket, and the end.
        components: int64[b], in each bucket, of rows that are alike by their sketches.
    """

    slot: Integers
    bounds: Integers
    components: Integers

    @classmethod
    def of(cls, sketches: Sketches, row_bytes: int, memory_bytes: int, crew: Crew) -> "Buckets":
        """Put rows together that may belong together; the result follows the rows however they are shuffled.

        Args:
            sketches: of all rows.
            row_bytes: of a row in full width.
            memory_bytes: for a bucket. Rows that are all alike, too many for that, and more than `PILED_ROWS`, are put
                together the most alike first.
            crew: who compares the sketches.

        Raises:
            ZooError: more rows are surely of one trajectory than there is memory for.
        """
        finite = np.flatnonzero(sketches.finite)
        order = finite[np.argsort(sketches.keys[finite], kind="stable")]
        most = min(MOST_CHECKPOINTS, _most_rows(row_bytes, memory_bytes))
        label = _components(sketches.codes[order], most, crew)
        sizes = np.bincount(label)
        bounds, components = _filled(sizes.tolist(), min(BUCKET_ROWS, memory_bytes // row_bytes))
        slot = np.full(len(sketches.finite), -1)
        slot[order[np.argsort(label, kind="stable")]] = np.arange(len(order))
        return cls(slot, bounds, components)

    def waves(self, chosen: Integers, row_bytes: int, memory_bytes: int, workers: int) -> list[list[Integers]]:
        """Cut some buckets into waves that there is memory for, and each wave into parts, several for each worker.

        Raises:
            ZooError: there is not enough memory for a single bucket.
        """
        rows = np.diff(self.bounds)
        # The distances in a usual bucket are few beside its rows, and are soon gone.
        needed = rows * row_bytes + np.where(rows > BUCKET_ROWS, _BYTES_OF_A_PAIR * rows**2, 0)
        if (most := int(needed.max(initial=0))) > memory_bytes:
            rows_at_once = plural(int(rows[needed.argmax()]), "checkpoint")
            raise ZooError(
                f"analysis: {rows_at_once} compared at once take {binary(most)}, but there are {binary(memory_bytes)} "
                "for them, half of --memory: give more"
            )
        return [
            _cut(rows, wave, -(-int(rows[wave].sum()) // (_PARTS_PER_WORKER * workers)))
            for wave in _cut(needed, chosen, memory_bytes)
        ]


def _cut(sizes: Integers, buckets: Integers, most: int) -> list[Integers]:
    """Cut buckets into stretches of at most such a size, but for single ones that are larger."""
    cuts, total = [], 0
    for at, size in enumerate(sizes[buckets].tolist()):
        if at and total + size > most:
            cuts.append(at)
            total = 0
        total += size
    return np.split(buckets, cuts)


def _most_rows(row_bytes: int, memory_bytes: int) -> int:
    """How many rows there is memory for, with their distances."""
    half = row_bytes / (2 * _BYTES_OF_A_PAIR)
    return int(sqrt(half**2 + memory_bytes / _BYTES_OF_A_PAIR) - half)


def _components(codes: NDArray[np.int8], most_rows: int, crew: Crew) -> Integers:
    """Label rows by what connects those that are alike, and then components whose centres are alike."""
    near = connected(alike(codes, _ROW_COSINE, _ROW_LISTS, crew), len(codes))
    for _ in range(_ROUNDS):
        centres = _centres(codes, near)
        pairs = alike(centres, _CENTRE_COSINE, _CENTRE_LISTS, crew)
        if not len(pairs):
            break
        near = connected(pairs, len(centres))[near]
    label = near.astype(np.int64)
    for large in np.flatnonzero(np.bincount(label) > max(most_rows, PILED_ROWS)):
        rows = np.flatnonzero(label == large)
        label[rows] = label.max() + 1 + _piled(codes[rows], most_rows, crew)
    return np.unique(label, return_inverse=True)[1]


def _piled(codes: NDArray[np.int8], most_rows: int, crew: Crew) -> Integers:
    """Label rows by what joins them, the most alike first, into components of at most `PILED_ROWS` rows.

    Raises:
        ZooError: more than `most_rows` are surely of one trajectory.
    """
    pairs = alike(codes, _ROW_COSINE, _ROW_LISTS, crew)
    cosines = _cosines(codes, pairs)
    order = np.argsort(-cosines, kind="stable")
    piles, size = DisjointSet(range(len(codes))), [1] * len(codes)
    for (one, other), cosine in zip(pairs[order].tolist(), cosines[order].tolist(), strict=True):
        first, second = piles[one], piles[other]
        both = size[first] + size[second]
        if first != second and cosine >= _SURE_COSINE and both > most_rows:
            raise ZooError(
                f"analysis: more than {most_rows:,} checkpoints are alike, one by one, and would be compared each with "
                f"each: give more by --memory (for {MOST_CHECKPOINTS:,} at most), or analyse fewer at once"
            )
        if first != second and (cosine >= _SURE_COSINE or both <= PILED_ROWS):
            piles.merge(one, other)
            size[piles[one]] = both
    return np.array([piles[row] for row in range(len(codes))])


def _cosines(codes: NDArray[np.int8], pairs: Integers) -> NDArray[np.float32]:
    """Of pairs of rows, float32[p]."""
    cosines = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _SUMMED_ROWS):
        some = slice(start, start + _SUMMED_ROWS)
        one, other = (codes[pairs[some, side]].astype(np.float32) for side in (0, 1))
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosines[some] = np.einsum("pk,pk->p", one, other) / np.maximum(lengths, np.float32(1e-12))
    return cosines


def _centres(codes: NDArray[np.int8], label: NDArray[np.int32]) -> NDArray[np.float32]:
    """The mean direction of each component, up to its length: float32[components, k]."""
    centres = np.zeros((int(label.max(initial=-1)) + 1, codes.shape[1]), np.float32)
    for start in range(0, len(codes), _SUMMED_ROWS):
        some = codes[start : start + _SUMMED_ROWS].astype(np.float32)
        some /= np.maximum(np.linalg.norm(some, axis=1, keepdims=True), np.float32(1e-12))
        own = label[start : start + _SUMMED_ROWS]
        found, place = np.unique(own, return_inverse=True)
        sums = csr_array((np.ones(len(own), np.float32), (place, np.arange(len(own)))), shape=(len(found), len(own)))
        centres[found] += sums @ some
    return centres


def _filled(sizes: list[int], most_rows: int) -> tuple[Integers, Integers]:
    """Fill buckets with components, in their order: where buckets begin, and how many components each has."""
    bounds, end = [0], 0
    components: list[int] = []
    for size in sizes:
        if components and end + size - bounds[-1] <= most_rows:
            components[-1] += 1
        else:
            if components:
                bounds.append(end)
            components.append(1)
        end += size
    return np.array([*bounds, end] if components else [0]), np.array(components, np.int64)
