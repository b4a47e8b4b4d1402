"""Branches: one family of checkpoints unfolded into the trajectories that branch from each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from zoo_pipeline.trajectories.direction import decide_direction
from zoo_pipeline.trajectories.drift import Floats, drift_free_squares
from zoo_pipeline.trajectories.linkage import minimum_spanning_edges
from zoo_pipeline.trajectories.ordering import euclidean_distances, order_along_path, path_through_tree

Rows = NDArray[np.int64]

# Chosen on development zoos (digits, mnist-10k; SGD, Adam), then frozen.
MOST_ROWS = 4_096  # some minutes
_LONGER = 1.012  # than the spanning tree: from there on a path through all points is none
_BANDWIDTH_ROWS = 20
_FORK_PENALTY = 1.2  # in natural logarithms of distance: how much worse a free link may be than a shared one
_CHANGE_WEIGHT = 0.5  # of a change of step, against the logarithm of distance
_ROUNDS = 3
_END_PENALTY = 0.3  # of the squared steps that a path would still have to take


@dataclass(frozen=True)
class Branches:
    """A family of m checkpoints as a tree of trajectories.

    Attributes:
        paths: the rows of each trajectory in order; the root's trajectory first. Every row is in exactly one.
        parent_path: int64[k], the path that each path branched from; −1 for the first.
        parent_row: int64[k], the row that each path branched from; −1 for the first.
        confidence: float64[m] in [0, 1], how clearly each row's predecessor is the one given: 1 − (its squared distance
            without the common drift / that of the next best), 0 where another was nearer. Not a probability. 1 for the
            root, and for the rows of a family that does not branch.
        oriented: whether the paths run forward from the root; a family that does not branch is ordered up to reversal.
    """

    paths: list[Rows]
    parent_path: Rows
    parent_row: Rows
    confidence: Floats
    oriented: bool


def unfold(
    points: NDArray[np.floating], multiplicity: NDArray[np.integer] | None = None, root: int | None = None
) -> Branches:
    """Unfold one family: which rows follow which, and where trajectories branch.

    A family whose shortest path is hardly longer than its minimum spanning tree, and does not turn back at a repeated
    row, does not branch and is ordered by `order_along_path`. Else every row takes one predecessor nearer the root,
    and is the successor of it alone, at the least total cost: an assignment.

    Where k copies of the root are known, k paths begin there, and costs are squares, so that the drift which rows of
    equal progress share cancels between them; an early end costs what its path leaves out. Else a row may share a
    predecessor at a price and so begins a branch, and costs are logarithms, because steps shrink by orders of
    magnitude. O(m³) time; about six matrices of 8·m² bytes. A family of more than `MOST_ROWS` that branches is too
    large for that: it comes out as one path with confidence 0.

    Args:
        points: float[m, d], distinct.
        multiplicity: int[m], how many checkpoints each row stands for; None for one each.
        root: the row where the family began; None takes the most frequent repeated row, else a guess by the direction
            of the longest path.

    Returns:
        The tree.
    """
    rows: Floats = np.asarray(points, np.float64)
    m = len(rows)
    copies = np.ones(m, np.int64) if multiplicity is None else np.asarray(multiplicity, np.int64)
    order = order_along_path(rows)
    branches = m > 2 and _branches(rows, copies > 1, order)
    if not branches or m > MOST_ROWS:
        sure = np.full(m, 0.0 if branches else 1.0)
        return Branches([order] if m else [], np.full(min(m, 1), -1), np.full(min(m, 1), -1), sure, False)
    if root is None:
        root = int(copies.argmax()) if copies.max() > 1 else _likely_root(rows)
    progress = np.linalg.norm(rows - rows[root], axis=1)
    starts = int(copies[root])
    squares = drift_free_squares(rows, progress, max(_BANDWIDTH_ROWS, 2 * starts))
    place = np.empty(m, np.int64)
    place[np.lexsort((progress, np.arange(m) != root))] = np.arange(m)
    squares[place[None, :] >= place[:, None]] = np.inf  # only rows nearer the root can come before
    if starts > 1:
        parent, continues = _cover_from_root(squares, progress, root, starts)
    else:
        parent, continues = _cover_with_forks(squares, np.zeros_like(squares), root)
        for _ in range(_ROUNDS):
            change = _step_changes(rows, parent)
            parent, continues = _cover_with_forks(squares, _CHANGE_WEIGHT * change, root)
        continues = _steadiest(_step_changes(rows, parent), parent, continues)
    return _tree(parent, continues, progress, _confidence(squares, parent))


def _branches(points: Floats, repeated: NDArray[np.bool_], path: Rows) -> bool:
    """Whether the points are more than one path: see `unfold`."""
    distances = euclidean_distances(points)
    edges = minimum_spanning_edges(distances)
    neighbours = np.bincount(edges.ravel(), minlength=len(points))
    if neighbours.max(initial=0) > 2:
        # Noise alone makes a tree branch, too; but then the shortest path through all points is hardly longer.
        tree_length = distances[edges[:, 0], edges[:, 1]].sum()
        return bool(distances[path[1:], path[:-1]].sum() > _LONGER * tree_length)
    for row in np.flatnonzero(repeated & (neighbours == 2)):
        beside = edges[(edges == row).any(axis=1)].sum(axis=1) - row
        if np.dot(points[beside[0]] - points[row], points[beside[1]] - points[row]) > 0:
            return True  # two trajectories leave from here the same way, not one that passes
    return False


def _likely_root(points: Floats) -> int:
    """Guess where the family began: the earlier end of the path through its rows."""
    path = path_through_tree(euclidean_distances(points))
    return int(path[0] if decide_direction(points[path]).forward else path[-1])


def _cover_with_forks(squares: Floats, extra: Floats, root: int) -> tuple[Rows, NDArray[np.bool_]]:
    """Give every row but the root a predecessor: alone at log distance, or shared at the nearest's plus a penalty.

    Returns:
        int64[m] predecessors, −1 for the root, and bool[m], whether the row continues its predecessor's path.
    """
    m = len(squares)
    others = np.delete(np.arange(m), root)
    smallest = float(squares[np.isfinite(squares) & (squares > 0)].min(initial=np.inf))
    log_distance = 0.5 * np.log(np.maximum(squares[others], smallest))
    nearest = log_distance.argmin(axis=1)
    shared = np.full((m - 1, m - 1), np.inf)
    np.fill_diagonal(shared, log_distance.min(axis=1) + _FORK_PENALTY)
    _, column = linear_sum_assignment(np.hstack([log_distance + extra[others], shared]))
    parent = np.full(m, -1)
    parent[others] = np.where(column < m, column, nearest)
    continues = np.zeros(m, bool)
    continues[others] = column < m
    return parent, continues


def _step_changes(points: Floats, parent: Rows) -> Floats:
    """Measure how a step would change from the one before: 1 − cos of the angle, plus |log of the ratio of lengths|.

    Returns:
        float64[m, m], [v, u] for the step from u to v after the step from u's predecessor to u; 0 where u has none.
    """
    into = np.where((parent >= 0)[:, None], points - points[parent], 0.0)
    length = np.linalg.norm(into, axis=1)
    inner = points @ into.T - np.einsum("ij,ij->i", points, into)[None, :]
    distance = euclidean_distances(points)
    known = (length > 0)[None, :] & (distance > 0)
    product = np.where(known, distance * length[None, :], 1.0)
    ratio = np.where(known, distance / np.where(length > 0, length, 1.0)[None, :], 1.0)
    change: Floats = np.where(known, 1 - inner / product + np.abs(np.log(ratio)), 0.0)
    return change


def _steadiest(change: Floats, parent: Rows, continues: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Let, of the successors of a row, the one continue its path whose step changes least.

    The assignment is indifferent to which of them pays for the fork.
    """
    continues = continues.copy()
    for row in np.flatnonzero(np.bincount(parent[parent >= 0], minlength=len(parent)) > 1):
        after = np.flatnonzero(parent == row)
        continues[after] = False
        continues[after[change[after, row].argmin()]] = True
    return continues


def _cover_from_root(squares: Floats, progress: Floats, root: int, starts: int) -> tuple[Rows, NDArray[np.bool_]]:
    """Cover the family by `starts` paths that all begin at the root; like `_cover_with_forks`.

    One row of the assignment asks for the predecessor of each checkpoint, and `starts` more ask where paths end.
    """
    m = len(squares)
    others = np.delete(np.arange(m), root)
    starts = min(starts, m - 1)
    links = np.hstack([squares[np.ix_(others, others)], np.repeat(squares[others, root][:, None], starts, axis=1)])
    end = _END_PENALTY * _squares_to_come(squares, progress, starts)[others]
    ends = np.hstack([np.repeat(end[None, :], starts, axis=0), np.full((starts, starts), np.inf)])
    _, column = linear_sum_assignment(np.vstack([links, ends]))
    parent = np.full(m, -1)
    parent[others] = np.append(others, np.full(starts, root))[column[: m - 1]]
    return parent, (parent >= 0) & (parent != root)


def _squares_to_come(squares: Floats, progress: Floats, paths: int) -> Floats:
    """Estimate what the steps of one path from each row's progress to the end would cost, float64[m].

    The predecessor of a row on one of `paths` interleaved tracks is about `paths` places before it in progress.
    """
    order = np.argsort(progress, kind="stable")
    step = np.zeros(len(order))
    for place, row in enumerate(order):
        before = squares[row, order[max(0, place - paths) : max(0, place - max(paths // 2, 1)) + 1]]
        step[place] = before.min(initial=np.inf, where=np.isfinite(before)) if place else 0.0
    step[~np.isfinite(step)] = 0.0
    to_come = np.empty(len(order))
    to_come[order] = (step[::-1].cumsum()[::-1] - step) / paths
    return to_come


def _confidence(squares: Floats, parent: Rows) -> Floats:
    """Compare the predecessor's squared distance with the best other one's; see `Branches`."""
    confidence = np.ones(len(parent))
    for row in np.flatnonzero(parent >= 0):
        chosen = squares[row, parent[row]]
        other = np.delete(squares[row], parent[row]).min(initial=np.inf)
        confidence[row] = float(np.clip(1 - chosen / other, 0, 1)) if other > 0 else 0.0
    return confidence


def _tree(parent: Rows, continues: NDArray[np.bool_], progress: Floats, confidence: Floats) -> Branches:
    """List the paths, the root's first, the others by where they begin."""
    following = np.full(len(parent), -1)
    following[parent[continues]] = np.flatnonzero(continues)
    heads = np.flatnonzero(~continues)
    heads = heads[np.lexsort((heads, progress[heads], parent[heads] >= 0))]
    paths = []
    path_of = np.empty(len(parent), np.int64)
    for number, head in enumerate(heads):
        walk = [int(head)]
        while following[walk[-1]] >= 0:
            walk.append(int(following[walk[-1]]))
        paths.append(np.array(walk))
        path_of[walk] = number
    parent_row = parent[heads]
    parent_path = np.where(parent_row >= 0, path_of[parent_row], -1)
    return Branches(paths, parent_path, parent_row, confidence, True)
