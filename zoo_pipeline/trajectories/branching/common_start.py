"""Common start: the trajectories of a family that begin at one known row, or at several, told apart."""

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.optimize import linear_sum_assignment

from zoo_pipeline.trajectories.branching.cover import smooth_cover
from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.polishing import insert, polish
from zoo_pipeline.trajectories.branching.smoothness import Smoothness
from zoo_pipeline.trajectories.branching.tree import Tree

Rows = NDArray[np.int64]

_MOST_TORN = 3  # rows of a path that is a piece of another, as first steps are that differ from all later ones
_END_PENALTY = 0.3  # of the squared steps that a path would still have to take; chosen on development zoos, then frozen


def parts_by_start(distances: Floats, edges: NDArray[np.integer], starts: Rows) -> list[Rows]:
    """Divide a family that begins at several rows: to each belongs what its spanning tree reaches by shorter steps.

    Args:
        distances: float64[m, m].
        edges: int[m − 1, 2], of their minimum spanning tree.
        starts: the rows where the family begins.

    Returns:
        The rows of each start, ascending, as the starts come.
    """
    parts = DisjointSet(range(len(distances)))
    with_start = set(starts.tolist())
    for one, other in edges[np.argsort(distances[edges[:, 0], edges[:, 1]], kind="stable")].tolist():
        ends = {parts[one], parts[other]}
        if not ends <= with_start:
            parts.merge(one, other)
            if ends & with_start:
                with_start.add(parts[one])
    own = np.array([parts[row] for row in range(len(distances))])
    return [np.flatnonzero(own == own[start]) for start in starts]


def smooth_from_root(smoothness: Smoothness, root: int, starts: int) -> Tree | None:
    """Divide a family into `starts` smooth paths that all begin at the root, if its smoothest long paths are so many.

    Args:
        smoothness: of the family.
        root: a row.
        starts: how many paths.

    Returns:
        The root as a path of its own and those that branch from it; None where the rows make more or fewer long paths.
    """
    pieces = [piece.tolist() for piece in smooth_cover(smoothness, apart=root) if root not in piece]
    pieces.sort(key=len, reverse=True)
    paths, torn = pieces[:starts], pieces[starts:]
    if len(paths) < starts or len(paths[-1]) < 2 or (torn and len(torn[0]) > _MOST_TORN):
        return None
    gone = smoothness.progress
    paths = [path if gone[path[0]] <= gone[path[-1]] else path[::-1] for path in paths]
    tree = Tree([[root], *paths], [-1] + [0] * starts, [-1] + [root] * starts)
    for row in [row for piece in torn for row in piece]:
        insert(smoothness, tree, row, forks_known=True)
    return polish(smoothness, tree, alone=root)


def cover_from_root(squares: Floats, progress: Floats, root: int, starts: int) -> Rows:
    """Cover a family by `starts` paths that all begin at the root: the assignment of least total cost.

    Costs are squares, so that the drift which rows of equal progress share cancels between paths; an early end costs
    what its path leaves out. One row of the assignment asks for the predecessor of each checkpoint, and `starts` more
    ask where paths end. O(m³) time.

    Args:
        squares: float64[m, m], [v, u] what it costs that u comes before v; infinite where it cannot.
        progress: float64[m], distance from the root.
        root: a row.
        starts: how many paths.

    Returns:
        int64[m], the predecessor of each row; −1 for the root.
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
    return parent


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
