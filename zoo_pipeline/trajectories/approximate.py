"""Approximate recovery: of more checkpoints than can be compared each with each, read in shares, in bounded memory.

    every share ──sketch──▶ all sketches ──alike──▶ buckets of what may belong together
    every share ──spill───▶ every bucket ──score in full width──▶ edges ──threshold──▶ families ──order──▶ paths

Within a bucket everything is as in `recover`; that rows of different buckets are unrelated is read off their sketches.
Each step is a pure function of one share or one bucket, so `run` may be any map, over processes or machines alike. The
result does not depend on how rows are spread over shares.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.buckets import Buckets, Spill
from zoo_pipeline.trajectories.components import groups
from zoo_pipeline.trajectories.content import canonical_order, content_numbers
from zoo_pipeline.trajectories.distances import cosine_distances
from zoo_pipeline.trajectories.exchange import split_weights
from zoo_pipeline.trajectories.geometry import Geometry, bag_geometry
from zoo_pipeline.trajectories.lineage import Lineage, directed_families, joined, traced_families
from zoo_pipeline.trajectories.linkage import SpanningTree, linkage_table, spanning_tree
from zoo_pipeline.trajectories.recovery import Recovery
from zoo_pipeline.trajectories.separation import ScoredEdges, families, score_edges, scored_confidences, threshold
from zoo_pipeline.trajectories.sketch import Sketches, sketch

Read = Callable[[int], Iterator[NDArray[np.float32]]]


class Run(Protocol):
    """A map whose results come in the order of the items, such as the built-in one."""

    def __call__(self, function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterable[Any]:
        """Apply a function to every item."""


@dataclass(frozen=True)
class _ScoredBucket:
    """Of m rows, sorted by content: what may join them, their tree, and the slot that each came from."""

    scored: ScoredEdges
    tree: SpanningTree
    order: NDArray[np.int64]
    content: NDArray[np.int32]


@dataclass(frozen=True)
class _OrderedBucket:
    """Of m rows, sorted by content: their trajectories and how these move."""

    found: Lineage
    geometry: Geometry


def recover_in_shares(
    read: Read, shares: int, layout: Layout, *, folder: Path | None = None, run: Run = map
) -> tuple[Recovery, Geometry]:
    """Recover trajectories, order, direction and geometry as `recover` and `bag_geometry` do.

    What differs: rows whose sketches are not alike (a cosine below about 0.4) are not compared; a row's nearest
    stranger is sought in its bucket; and the linkage joins buckets at height 1, where unrelated rows are.

    Args:
        read: the rows of one share, float32[m, d] at a time, the same ones each time it is called.
        shares: how many there are.
        layout: which columns are which tensor.
        folder: for a temporary file as large as all rows, on a disk that all processes see; None for the system's.
        run: how functions are applied to shares and to buckets.

    Returns:
        The recovery and the geometry, aligned with the rows in the order of the shares.

    Raises:
        ZooError: so many rows are alike that they cannot be compared each with each.
    """
    seconds, started = {}, perf_counter()

    def lap(stage: str) -> None:
        nonlocal started
        seconds[stage], started = perf_counter() - started, perf_counter()

    parts: list[Sketches] = list(run(partial(_sketched, read, layout), range(shares)))
    counts = np.cumsum([0, *(len(part.finite) for part in parts)])
    sketches = Sketches(
        *(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True))
    )
    del parts
    lap("sketching")
    buckets = Buckets.of(sketches)
    del sketches
    lap("candidates")
    with TemporaryDirectory(dir=folder) as temporary:
        spill = Spill(Path(temporary) / "rows", layout.dimension)
        slots = [buckets.slot[start:stop] for start, stop in pairwise(counts.tolist())]
        for _ in run(partial(_spilled, read, spill), list(enumerate(slots))):
            pass
        lap("spilling")
        return _recovered(buckets, spill, layout, run, seconds, lap)


def _recovered(
    buckets: Buckets, spill: Spill, layout: Layout, run: Run, seconds: dict[str, float], lap: Callable[[str], None]
) -> tuple[Recovery, Geometry]:
    """All that comes after the rows of every bucket lie together."""
    starts, stops = buckets.bounds[:-1].tolist(), buckets.bounds[1:].tolist()
    m = int(buckets.bounds[-1])
    others = (buckets.components.sum() - buckets.components).tolist()
    parts: list[_ScoredBucket] = list(run(partial(_scored, spill, layout), zip(starts, stops, others, strict=True)))
    scored = ScoredEdges(
        edges=np.concatenate([part.scored.edges + start for part, start in zip(parts, starts, strict=True)]),
        **{
            name: np.concatenate([getattr(part.scored, name) for part in parts])
            for name in ("lengths", "scores", "variance", "stranger")
        },
    )
    number, labels = families(scored.edges, scored.scores, m, m)
    limit = threshold(number)
    confidence = scored_confidences(scored, labels, limit)
    tree = _joined([part.tree for part in parts], starts)
    linkage = linkage_table(tree)
    lap("separation")

    ordered: list[_OrderedBucket] = list(
        run(
            partial(_ordered, spill, layout),
            [(start, stop, labels[start:stop]) for start, stop in zip(starts, stops, strict=True)],
        )
    )
    lap("ordering")
    # A leaf is a row's place by its bucket and then by content.
    by_slot = np.concatenate([part.order + start for part, start in zip(parts, starts, strict=True)])
    leaf_of_slot = np.empty(m, np.int64)
    leaf_of_slot[by_slot] = np.arange(m)
    leaf = np.where(buckets.slot >= 0, leaf_of_slot[buckets.slot], -1)
    row = np.append(np.flatnonzero(leaf >= 0)[np.argsort(leaf[leaf >= 0])], -1)  # of every leaf
    leaves = [np.arange(start, stop) for start, stop in zip(starts, stops, strict=True)]
    found = joined(leaves, [part.found for part in ordered], m)
    trajectory, position = _places(found, m)
    length = np.array([len(path) for path in found.paths], np.int32)
    firsts = np.cumsum([0, *(part.content[-1] + 1 for part in parts)])
    content = np.concatenate([part.content + first for part, first in zip(parts, firsts[:-1], strict=True)])
    recovery = Recovery(
        family=_placed(labels, leaf, -1),
        trajectory=_placed(trajectory, leaf, -1),
        position=_placed(position, leaf, -1),
        progress=_placed((position / np.maximum(length[trajectory] - 1, 1)).astype(np.float32), leaf, np.nan),
        confidence=_placed(np.minimum(confidence, found.confidence).astype(np.float32), leaf, np.nan),
        leaf=leaf.astype(np.int32),
        content=_placed(content.astype(np.int32), leaf, -1),
        linkage=linkage,
        edges=tree.edges,
        cut=float(scored.lengths[scored.scores >= limit].max(initial=0.0)),
        threshold=limit,
        length=length,
        parent=found.parent_path.astype(np.int32),
        parent_row=row[found.parent_row],
        direction_decided=np.array([direction.decided for direction in found.directions], bool),
        direction_confidence=np.array([direction.confidence for direction in found.directions], np.float32),
        seconds=seconds,
    )
    columns = {
        name: np.concatenate([getattr(part.geometry, name) for part in ordered]) for name in Geometry.__annotations__
    }
    per_trajectory = ("straightness", "smoothness")
    geometry = Geometry(
        **{
            name: values if name in per_trajectory else _placed(values, leaf, np.nan)
            for name, values in columns.items()
        }
    )
    return recovery, geometry


def _sketched(read: Read, layout: Layout, share: int) -> Sketches:
    parts = [sketch(rows, layout) for rows in read(share)]
    return Sketches(*(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True)))


def _spilled(read: Read, spill: Spill, task: tuple[int, NDArray[np.int64]]) -> None:
    share, slots = task
    start = 0
    for rows in read(share):
        spill.write(slots[start : start + len(rows)], rows)
        start += len(rows)


def _sorted_bucket(spill: Spill, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rows = spill.read(start, stop)
    order = canonical_order(rows)
    return rows[order], order


def _scored(spill: Spill, layout: Layout, task: tuple[int, int, int]) -> _ScoredBucket:
    start, stop, others = task
    bag, order = _sorted_bucket(spill, start, stop)
    split = split_weights(bag, layout)
    assert split is not None
    rows = split.rows.numpy()
    distances = cosine_distances(rows, precision=torch.float32)
    tree = spanning_tree(distances, rows)
    return _ScoredBucket(score_edges(distances, tree, split, others), tree, order, content_numbers(bag))


def _ordered(spill: Spill, layout: Layout, task: tuple[int, int, NDArray[np.int32]]) -> _OrderedBucket:
    start, stop, labels = task
    bag, _ = _sorted_bucket(spill, start, stop)
    numbers = labels - labels.min()
    members = groups(numbers)
    traced = traced_families(bag, content_numbers(bag), members, layout)
    found = directed_families(bag, members, traced, layout)
    return _OrderedBucket(found, bag_geometry(bag, *_places(found, len(bag))))


def _places(found: Lineage, m: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Trajectory and position of m rows."""
    trajectory, position = np.empty((2, m), np.int32)
    for number, path in enumerate(found.paths):
        trajectory[path], position[path] = number, np.arange(len(path))
    return trajectory, position


def _joined(trees: list[SpanningTree], starts: list[int]) -> SpanningTree:
    """One tree of the buckets' own, joined at height 1."""
    between = np.stack([starts[:-1], starts[1:]], axis=1).astype(np.int32)
    edges = np.concatenate([*(tree.edges + start for tree, start in zip(trees, starts, strict=True)), between])
    heights = np.concatenate([*(tree.heights for tree in trees), np.ones(len(between))])
    ascending = np.argsort(heights, kind="stable")
    return SpanningTree(edges[ascending].astype(np.int32), heights[ascending])


def _placed(values: NDArray[Any], leaf: NDArray[np.int64], missing: float) -> NDArray[Any]:
    """Values of leaves, for all rows."""
    placed = np.full(len(leaf), missing, values.dtype)
    placed[leaf >= 0] = values[leaf[leaf >= 0]]
    return placed
