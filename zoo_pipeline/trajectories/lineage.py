"""Lineage: the trajectories of one family, which branched from which, and in which direction they run."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.branching.branches import Branches, unfold
from zoo_pipeline.trajectories.branching.common_start import parts_by_start
from zoo_pipeline.trajectories.direction import DECIDED_FROM, Direction, decide_direction
from zoo_pipeline.trajectories.linkage import minimum_spanning_edges, tree_branches
from zoo_pipeline.trajectories.ordering import euclidean_distances
from zoo_pipeline.trajectories.straight import straight_paths

Rows = NDArray[np.int64]

_LEAST_SHARING = 3  # trajectories that begin at each of several rows; two copies of each of some rows are duplicates


@dataclass(frozen=True)
class Lineage:
    """The k trajectories of a family, or of several, of m checkpoints.

    Attributes:
        paths: the rows of each trajectory, in the likelier direction; every row is in exactly one.
        parent_path: int64[k], the trajectory that each branched from; −1 for none.
        parent_row: int64[k], the row that each branched from; −1 for none.
        confidence: float64[m] in [0, 1], how clearly each row follows the one before it, see `Branches.confidence`; 0
            for equal rows that were dealt out to several trajectories.
        directions: the verdict on each trajectory; all that branch from one another share theirs.
    """

    paths: list[Rows]
    parent_path: Rows
    parent_row: Rows
    confidence: NDArray[np.float64]
    directions: list[Direction]

    @property
    def places(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Of each row its trajectory and its position in it, int32[m] each."""
        trajectory, position = np.empty((2, len(self.confidence)), np.int32)
        for number, path in enumerate(self.paths):
            trajectory[path], position[path] = number, np.arange(len(path))
        return trajectory, position

    @property
    def length(self) -> NDArray[np.int32]:
        """Rows of each trajectory, int32[k]."""
        return np.array([len(path) for path in self.paths], np.int32)


def lineage(weights: NDArray[np.float32], content: NDArray[np.integer], layout: Layout | None) -> Lineage:
    """Tell the history of one family.

    Args:
        weights: float32[m, d].
        content: int[m], ascending, equal for equal rows.
        layout: of the weights, if known.

    Returns:
        Its trajectories.
    """
    _, first, which, copies = np.unique(content, return_index=True, return_inverse=True, return_counts=True)
    distinct = weights[first]
    parts = _by_start(distinct, copies)
    if len(parts) > 1:
        rows_of = [np.flatnonzero(np.isin(which, part)) for part in parts]
        return _joined(rows_of, [lineage(weights[rows], content[rows], layout) for rows in rows_of], len(weights))
    # Copies of one row alone may be a start that several trajectories share; of several rows they say nothing.
    branches = unfold(distinct, copies if np.count_nonzero(copies > 1) == 1 else None, layout=layout)
    if branches.oriented:
        directions = [_shared_direction(distinct, branches, layout)] * len(branches.paths)
    else:
        directions = [decide_direction(distinct[path], layout) for path in branches.paths]
    ordered = [
        path if branches.oriented or direction.forward else path[::-1]
        for path, direction in zip(branches.paths, directions, strict=True)
    ]
    rows = np.split(np.argsort(which, kind="stable"), np.cumsum(copies)[:-1])
    confidence = branches.confidence[which]
    paths = [np.concatenate([rows[row] for row in path]) for path in ordered]
    parent_path, parent_row = branches.parent_path, np.where(branches.parent_row >= 0, first[branches.parent_row], -1)
    found = Lineage(paths, parent_path, parent_row, confidence, directions)
    return _with_own_starts(found, rows[branches.paths[0][0]]) if branches.oriented else found


def _by_start(points: NDArray[np.float32], copies: NDArray[np.integer]) -> list[Rows]:
    """Divide a family where several rows stand for as many checkpoints each: as many trajectories begin at each.

    One setting of all others makes each of them, as do initialisations of one seed at several scales. Else, and where
    there are too few rows for that, all of them are one part.
    """
    starts = np.flatnonzero(copies > 1)
    each = int(copies.max(initial=0))
    if len(starts) > 1 and each >= _LEAST_SHARING and (copies[starts] == each).all():
        distances = euclidean_distances(points)
        edges = minimum_spanning_edges(distances)
        parts = parts_by_start(distances, edges, starts) if tree_branches(edges) else []
        if parts and min(map(len, parts)) > each:
            return parts
    return [np.arange(len(points))]


def _with_own_starts(found: Lineage, copies: Rows) -> Lineage:
    """Deal the copies of the root out to the trajectories that begin there, where there are enough."""
    sharing = np.flatnonzero(found.parent_row == copies[0])
    alone = len(found.paths[0]) == len(copies)  # nothing goes on from the root but what branches
    if len(copies) != len(sharing) + (not alone):
        return found
    paths = list(found.paths)
    paths[0] = paths[0][len(copies) - 1 :]
    for path, copy in zip(sharing, copies, strict=False):
        paths[path] = np.concatenate([[copy], paths[path]])
    confidence = found.confidence.copy()
    confidence[copies] = 0
    if not alone:
        return Lineage(paths, found.parent_path, found.parent_row, confidence, found.directions)
    parent_path = np.where(found.parent_path[1:] > 0, found.parent_path[1:] - 1, -1)
    parent_row = np.where(parent_path >= 0, found.parent_row[1:], -1)
    return Lineage(paths[1:], parent_path, parent_row, confidence, found.directions[1:])


def lineages(
    weights: NDArray[np.float32], content: NDArray[np.integer], families: Sequence[Rows], layout: Layout | None
) -> Lineage:
    """Tell the histories of all families of a bag, together; trajectories are numbered by their first row.

    Args:
        weights: float32[n, d].
        content: int[n], ascending within a family, equal for equal rows.
        families: the rows of each, ascending.
        layout: of the weights, if known.

    Returns:
        Their trajectories, and the confidence of all n rows.
    """
    told = []
    for rows, path in zip(families, straight_paths(weights, families), strict=True):
        # Where rows repeat, they may be a start that several trajectories share, whatever the tree looks like.
        if path is None or len(np.unique(content[rows])) < len(rows):
            told.append(lineage(weights[rows], content[rows], layout))
        else:
            told.append(_single(np.searchsorted(rows, path), decide_direction(weights[path], layout)))
    return _joined(families, told, len(weights))


def _joined(families: Sequence[Rows], told: Sequence[Lineage], m: int) -> Lineage:
    """Put the lineages of families together, whose rows among m are given; trajectories by their first row."""
    before = np.cumsum([0, *(len(one.paths) for one in told)])
    paths, directions = [], []
    parent_path, parent_row = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    confidence = np.empty(m)
    for rows, one, start in zip(families, told, before, strict=False):
        paths += [rows[path] for path in one.paths]
        directions += one.directions
        confidence[rows] = one.confidence
        parent_path.append(np.where(one.parent_path >= 0, one.parent_path + start, -1))
        parent_row.append(np.where(one.parent_row >= 0, rows[one.parent_row], -1))
    order = np.argsort([path.min() for path in paths]) if paths else np.empty(0, np.int64)
    number = np.empty(len(order) + 1, np.int64)
    number[order], number[-1] = np.arange(len(order)), -1
    return Lineage(
        [paths[path] for path in order],
        number[np.concatenate(parent_path)[order]],
        np.concatenate(parent_row)[order],
        confidence,
        [directions[path] for path in order],
    )


def _single(path: Rows, direction: Direction) -> Lineage:
    """The lineage of a family that is one trajectory, its rows ordered up to reversal."""
    none = np.full(1, -1)
    return Lineage([path if direction.forward else path[::-1]], none, none, np.ones(len(path)), [direction])


def _shared_direction(points: NDArray[np.float32], branches: Branches, layout: Layout | None) -> Direction:
    """Whether the trajectories of a family run away from its root, by all of them."""
    odds = 0.0
    for path in branches.paths:
        verdict = decide_direction(points[path], layout)
        odds += (1 if verdict.forward else -1) * log(verdict.confidence / max(1 - verdict.confidence, 1e-9))
    # The order stays as it is, whatever speaks against it: another end would be another tree.
    confidence = 1 / (1 + exp(-min(max(odds, 0.0), 30.0)))
    return Direction(forward=True, confidence=confidence, decided=confidence >= DECIDED_FROM)
