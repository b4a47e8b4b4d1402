"""Lineage: the trajectories of one family, which branched from which, and in which direction they run."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.branches import Branches, unfold
from zoo_pipeline.trajectories.direction import DECIDED_FROM, Direction, decide_direction
from zoo_pipeline.trajectories.straight import straight_paths

Rows = NDArray[np.int64]

_TURN = -0.5  # cosine of consecutive steps


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
    (path,) = straight_paths(distinct, [np.arange(len(distinct))])
    if path is not None and not _turns_back(distinct, path, copies):
        branches = Branches([path], np.full(1, -1), np.full(1, -1), np.ones(len(path)), False)
    else:
        # Copies of one row alone may be a start that several trajectories share; of several rows they say nothing.
        branches = unfold(distinct, copies if np.count_nonzero(copies > 1) == 1 else None)
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


def joined(families: Sequence[Rows], lineages: Sequence[Lineage], m: int) -> Lineage:
    """Put the lineages of families together, whose rows among m are given; trajectories by their first row."""
    before = np.cumsum([0, *(len(one.paths) for one in lineages)])
    paths, directions = [], []
    parent_path, parent_row = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    confidence = np.empty(m)
    for rows, one, start in zip(families, lineages, before, strict=False):
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


def traced_families(
    weights: NDArray[np.float32],
    content: NDArray[np.integer],
    families: Sequence[Rows],
    layout: Layout | None,
) -> list[Rows | Lineage]:
    """Order the rows of each family: of a straight one its rows along the path, either way, of another its lineage.

    Args:
        weights: float32[n, d].
        content: int[n], ascending, equal for equal rows.
        families: the rows of each, ascending.
        layout: of the weights, if known.
    """
    return [
        lineage(weights[rows], content[rows], layout) if path is None else path
        for rows, path in zip(families, straight_paths(weights, families), strict=True)
    ]


def directed_families(
    weights: NDArray[np.float32], families: Sequence[Rows], traced: Sequence[Rows | Lineage], layout: Layout | None
) -> Lineage:
    """Decide which way straight families run, and put all together; arguments as of `traced_families`."""
    lineages = [
        one if isinstance(one, Lineage) else single(np.searchsorted(rows, one), decide_direction(weights[one], layout))
        for rows, one in zip(families, traced, strict=True)
    ]
    return joined(families, lineages, len(weights))


def single(path: Rows, direction: Direction) -> Lineage:
    """The lineage of a family that is one trajectory, its rows ordered up to reversal."""
    none = np.full(1, -1)
    return Lineage([path if direction.forward else path[::-1]], none, none, np.ones(len(path)), [direction])


def _turns_back(points: NDArray[np.float32], path: Rows, copies: NDArray[np.integer]) -> bool:
    """Whether a path comes back at its most frequent row, as two trajectories do that both begin there."""
    place = int(copies[path].argmax())
    if copies.max() == 1 or place in (0, len(path) - 1):
        return False
    before, at, after = points[path[place - 1 : place + 2]].astype(np.float64)
    into, out = at - before, after - at
    return bool(into @ out < _TURN * np.linalg.norm(into) * np.linalg.norm(out))


def _shared_direction(points: NDArray[np.float32], branches: Branches, layout: Layout | None) -> Direction:
    """Whether the trajectories of a family run away from its root, by all of them."""
    odds = 0.0
    for path in branches.paths:
        verdict = decide_direction(points[path], layout)
        odds += (1 if verdict.forward else -1) * log(verdict.confidence / max(1 - verdict.confidence, 1e-9))
    confidence = 1 / (1 + exp(-min(abs(odds), 30.0)))
    # The order stays as it is: another end would not be another direction, but another tree.
    return Direction(forward=True, confidence=confidence, decided=odds > 0 and confidence >= DECIDED_FROM)
