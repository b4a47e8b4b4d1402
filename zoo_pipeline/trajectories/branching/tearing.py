"""Tearing: paths of a tree taken apart where their later part would rather go on from another path."""

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.branching.attachment import OF_A_BRANCH, measure_attachment
from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.tree import Tree

Rows = NDArray[np.int64]

_LEAST_ODDS = 3.0  # natural logarithm of the odds that it does
_LEAST_LINE = 3  # rows before a tear
_MOST_ROWS = 150  # of a family: every row is measured on every line, a second for 100 rows and half a minute for 300


def tear(coordinates: Floats, tree: Tree) -> None:
    """Let the later part of each path branch from a row of another, at most once, where that is clearly more likely.

    Args:
        coordinates: float64[m, r].
        tree: of m rows; changed, but left as it is where they are more than 150.
    """
    if len(coordinates) > _MOST_ROWS:
        return
    for number in range(len(tree.paths)):
        place, row, odds = _best_tear(coordinates, tree, number)
        if odds > _LEAST_ODDS:
            tree.tear(number, place, row)


def _best_tear(coordinates: Floats, tree: Tree, number: int) -> tuple[int, int, float]:
    """The first row of a path's later part by its place, the row it would rather come after, and by which log-odds."""
    path, before = tree.paths[number], tree.before(number)
    places = np.array([place for place in range(1, len(path) - 1) if len(before) + place >= _LEAST_LINE], np.int64)
    if not len(places):
        return 0, -1, -np.inf
    first = coordinates[[path[place] for place in places]]
    second = coordinates[[path[place + 1] for place in places]]
    own = np.empty(len(places))
    for at, place in enumerate(places.tolist()):
        line = coordinates[[*before, *path[:place]]]
        own[at] = OF_A_BRANCH.scores(measure_attachment(line, first[at : at + 1], second[at : at + 1]))[0, -1]
    best, row = np.full(len(places), -np.inf), np.full(len(places), -1)
    for other, rows in enumerate(tree.paths):
        line = np.array(tree.line(other))
        if other == number or len(line) < _LEAST_LINE:
            continue
        left = tree.leaves(number, other)  # where on the path it, or what it branches from, left; −1 elsewhere
        measured = measure_attachment(coordinates[line], first, second)
        scores = OF_A_BRANCH.scores(measured)[:, -len(rows) :]
        allowed = places > left
        fit = np.where(allowed, scores.max(axis=1), -np.inf)
        better = fit > best
        best[better] = fit[better]
        row[better] = np.array(rows)[scores.argmax(axis=1)][better]
    at = int((best - own).argmax())
    return int(places[at]), int(row[at]), float(best[at] - own[at])
