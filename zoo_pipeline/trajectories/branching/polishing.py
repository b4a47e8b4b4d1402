"""Polishing: rows put into a tree, and its links exchanged, where that makes its paths smoother."""

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.smoothness import Smoothness
from zoo_pipeline.trajectories.branching.tree import Tree

Rows = NDArray[np.int64]

_LEAST_GAIN = 1e-6
_MOST_EXCHANGES = 2  # per row: rounding must not go round in circles


def polish(smoothness: Smoothness, tree: Tree, alone: int | None = None) -> Tree:
    """Exchange links between rows, the pair that gains most first, until none gains.

    The cost of a tree is that of every row between the one before it, which for the first row of a branch is the row
    that the branch left, and the one after it on its path. Two links u → v and w → x become u → x and w → v; a path's
    end is a link to nothing. So crossed paths are uncrossed and torn ones mended; no exchange makes more paths.

    Args:
        smoothness: of the family.
        tree: of all its rows.
        alone: a row that is to stay a path alone.

    Returns:
        The tree as it is then, the root's path first.
    """
    before, after = tree.links(len(smoothness.coordinates))
    near = smoothness.near
    for _ in range(_MOST_EXCHANGES * len(before)):
        start, end, on_path = _links(before, after, alone)
        one, other = _exchangeable(before, near, start, end, on_path)
        gain = _gains(smoothness, before, after, (start, end, on_path), one, other)
        if gain.max(initial=0.0) <= _LEAST_GAIN:
            break
        pair = int(gain.argmax())
        for link, taken in ((one[pair], other[pair]), (other[pair], one[pair])):
            if on_path[link]:
                after[start[link]] = end[taken]
            if end[link] >= 0:
                before[end[link]] = start[taken]
    return Tree.of_links(before, after)


def insert(smoothness: Smoothness, tree: Tree, row: int, *, forks_known: bool = False) -> None:
    """Put a row that is a path alone where it costs least: between two rows, before a branch, or behind a path.

    Args:
        smoothness: of the family.
        tree: of the other rows.
        row: the row.
        forks_known: whether the rows that branches left count as what comes before them.
    """
    places, links = [], []
    for number, path in enumerate(tree.paths):
        chain = [tree.parent_row[number], *path, -1, -1]
        first = 0 if number else 1  # nothing comes before the root
        for place in range(first, len(path) + 1):
            known = 0 if forks_known else 1
            older = chain[place - 1] if place > known else -1
            places.append((number, place))
            links.append((older, chain[place] if place >= known else -1, chain[place + 1], chain[place + 2]))
    older, before, after, later = np.array(links).T
    new = np.full(len(links), row)
    cost = smoothness.of(new, before, after)
    here, there = before >= 0, after >= 0
    cost[here] += smoothness.of(before[here], older[here], new[here])
    cost[here] -= smoothness.of(before[here], older[here], after[here])
    cost[there] += smoothness.of(after[there], new[there], later[there])
    cost[there] -= smoothness.of(after[there], before[there], later[there])
    number, place = places[int(cost.argmin())]
    tree.paths[number].insert(place, row)


def _links(before: Rows, after: Rows, alone: int | None) -> tuple[Rows, Rows, NDArray[np.bool_]]:
    """All links, to nothing (−1) too: where they start and end, and whether they are on a path and not a branch's."""
    linked, last = np.flatnonzero(before >= 0), np.flatnonzero(after < 0)
    last = last[last != alone] if alone is not None else last
    start, end = np.append(before[linked], last), np.append(linked, np.full(len(last), -1))
    return start, end, after[start] == end


def _exchangeable(
    before: Rows, near: NDArray[np.bool_], start: Rows, end: Rows, on_path: NDArray[np.bool_]
) -> tuple[Rows, Rows]:
    """Pairs of links whose exchange leaves a tree of links between near rows."""
    possible = near[start[:, None], end[None, :]] | (end < 0)[None, :]
    possible &= possible.T & (on_path[:, None] | on_path[None, :]) & (start[:, None] != start[None, :])
    possible &= ~((end < 0)[:, None] & (end < 0)[None, :])
    later = _descends(before)[start[None, :], end[:, None]] & (end >= 0)[:, None]  # the other's start, from one's end
    one, other = np.nonzero(np.triu(possible & ~later & ~later.T, 1))
    return one, other


def _descends(before: Rows) -> NDArray[np.bool_]:
    """Whether row i comes after row j in the tree, or is it, bool[m, m]."""
    descends = np.eye(len(before), dtype=bool)
    above = before.copy()
    while (going := np.flatnonzero(above >= 0)).size:
        descends[going, above[going]] = True
        above[going] = before[above[going]]
    return descends


def _gains(
    smoothness: Smoothness,
    before: Rows,
    after: Rows,
    links: tuple[Rows, Rows, NDArray[np.bool_]],
    one: Rows,
    other: Rows,
) -> Floats:
    """How much less the tree costs when two links are exchanged, float64[pairs]."""
    start, end, on_path = links
    gain = np.zeros(len(one))
    for link, taken in ((one, other), (other, one)):
        pairs = np.flatnonzero(on_path[link])
        rows = start[link[pairs]]
        gain[pairs] += smoothness.of(rows, before[rows], end[link[pairs]])
        gain[pairs] -= smoothness.of(rows, before[rows], end[taken[pairs]])
        pairs = np.flatnonzero(end[link] >= 0)
        rows = end[link[pairs]]
        gain[pairs] += smoothness.of(rows, start[link[pairs]], after[rows])
        gain[pairs] -= smoothness.of(rows, start[taken[pairs]], after[rows])
    return gain
