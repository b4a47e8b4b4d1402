"""Merging: what was found bucket by bucket, put together as the recovery of all rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.bucketwork import OrderedRows, WorkedBucket
from zoo_pipeline.trajectories.geometry import Geometry
from zoo_pipeline.trajectories.linkage import SpanningTree, linkage_table
from zoo_pipeline.trajectories.recovery import Recovery
from zoo_pipeline.trajectories.separation import ScoredEdges, families, scored_confidences, threshold

_OF_TRAJECTORIES = ("straightness", "smoothness")  # the other columns of a geometry are of rows


@dataclass(frozen=True)
class Separated:
    """The families of all m rows of b buckets. A leaf is a row's number: its place by its bucket and then by content.

    Attributes:
        starts: int64[b], first leaf of each bucket.
        slot: int64[m], the slot that each leaf came from.
        content: int32[m], numbers of contents.
        labels: int32[m], families.
        confidence: float32[m], how clearly each row belongs to its family.
        tree: of all rows.
        cut: length of the longest edge within a family.
        threshold: score from which rows were taken to be related.
    """

    starts: NDArray[np.int64]
    slot: NDArray[np.int64]
    content: NDArray[np.int32]
    labels: NDArray[np.int32]
    confidence: NDArray[np.float32]
    tree: SpanningTree
    cut: float
    threshold: float

    @classmethod
    def of(cls, worked: Sequence[WorkedBucket], bounds: NDArray[np.int64]) -> "Separated":
        """Cut the edges of all buckets at one threshold.

        Args:
            worked: what was found in each.
            bounds: int64[b + 1], the first slot of each, and the end.
        """
        starts, m = bounds[:-1], int(bounds[-1])
        parts = [one.scored for one in worked]
        scored = ScoredEdges(
            edges=_shifted([part.edges for part in parts], starts).astype(np.int32),
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in ("lengths", "scores", "variance", "stranger")
            },
        )
        found, labels = families(scored.edges, scored.scores, m, m)
        limit = threshold(found)
        contents = np.cumsum([0, *(int(one.content[-1]) + 1 for one in worked)])
        return cls(
            starts=starts,
            slot=_shifted([one.order.astype(np.int64) for one in worked], starts),
            content=_shifted([one.content for one in worked], contents).astype(np.int32),
            labels=labels,
            confidence=scored_confidences(scored, labels, limit),
            tree=_joined([one.tree for one in worked], starts),
            cut=float(scored.lengths[scored.scores >= limit].max(initial=0.0)),
            threshold=limit,
        )

    def changed(self, worked: Sequence[WorkedBucket]) -> NDArray[np.int64]:
        """The buckets whose families are others than they could tell by themselves."""
        # Both kinds of labels are numbered by their first row, and edges stay within a bucket.
        return np.array(
            [
                bucket
                for bucket, (one, start) in enumerate(zip(worked, self.starts.tolist(), strict=True))
                if not np.array_equal(self.labels[start : start + len(one.labels)] - self.labels[start], one.labels)
            ],
            np.int64,
        )


def merged(
    found: Separated, ordered: Sequence[OrderedRows], slot: NDArray[np.int64], seconds: dict[str, float]
) -> tuple[Recovery, Geometry]:
    """Put the trajectories of all buckets together.

    Args:
        found: the families.
        ordered: the trajectories of each bucket.
        slot: int64[n], of every row; −1 for those that are not finite.
        seconds: by stage.

    Returns:
        The recovery and the geometry, aligned with the rows.
    """
    leaf_of_slot = np.empty(len(found.slot), np.int64)
    leaf_of_slot[found.slot] = np.arange(len(found.slot))
    leaf = np.where(slot >= 0, leaf_of_slot[slot], -1) if len(leaf_of_slot) else np.full(len(slot), -1)
    row_of_leaf = np.full(len(leaf_of_slot) + 1, -1)  # the last stands for no leaf
    row_of_leaf[leaf[leaf >= 0]] = np.flatnonzero(leaf >= 0)
    paths = np.cumsum([0, *(len(one.length) for one in ordered)])
    trajectory = _shifted([one.trajectory for one in ordered], paths)
    position, length, confidence, decided, certain = (
        np.concatenate([getattr(one, name) for one in ordered])
        for name in ("position", "length", "confidence", "decided", "direction_confidence")
    )
    parent_leaf = _shifted([one.parent_row for one in ordered], found.starts)
    recovery = Recovery(
        family=_placed(found.labels, leaf, -1),
        trajectory=_placed(trajectory.astype(np.int32), leaf, -1),
        position=_placed(position, leaf, -1),
        progress=_placed((position / np.maximum(length[trajectory] - 1, 1)).astype(np.float32), leaf, np.nan),
        confidence=_placed(np.minimum(found.confidence, confidence), leaf, np.nan),
        leaf=leaf.astype(np.int32),
        content=_placed(found.content, leaf, -1),
        linkage=linkage_table(found.tree),
        edges=found.tree.edges,
        cut=found.cut,
        threshold=found.threshold,
        length=length,
        parent=_shifted([one.parent for one in ordered], paths).astype(np.int32),
        parent_row=row_of_leaf[parent_leaf],
        direction_decided=decided,
        direction_confidence=certain,
        seconds=seconds,
    )
    columns = {
        name: np.concatenate([getattr(one.geometry, name) for one in ordered]) for name in Geometry.__annotations__
    }
    return recovery, Geometry(
        **{
            name: values if name in _OF_TRAJECTORIES else _placed(values, leaf, np.nan)
            for name, values in columns.items()
        }
    )


def _joined(trees: list[SpanningTree], starts: NDArray[np.int64]) -> SpanningTree:
    """One tree of the buckets' own, joined at height 1."""
    between = np.stack([starts[:-1], starts[1:]], axis=1)
    edges = np.concatenate([_shifted([tree.edges for tree in trees], starts), between])
    heights = np.concatenate([*(tree.heights for tree in trees), np.ones(len(between))])
    ascending = np.argsort(heights, kind="stable")
    return SpanningTree(edges[ascending].astype(np.int32), heights[ascending])


def _shifted(numbers: Sequence[NDArray[Any]], by: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers that count from 0 in each of several parts, as they count in all; −1 stays."""
    shifted = [np.where(own >= 0, own + start, -1) for own, start in zip(numbers, by.tolist(), strict=False)]
    return np.concatenate(shifted).astype(np.int64)


def _placed(values: NDArray[Any], leaf: NDArray[np.int64], missing: float) -> NDArray[Any]:
    """Values of leaves, for all rows."""
    placed = np.full(len(leaf), missing, values.dtype)
    placed[leaf >= 0] = values[leaf[leaf >= 0]]
    return placed
