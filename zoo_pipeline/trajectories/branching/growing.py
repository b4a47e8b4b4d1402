"""Growing: the paths of a family, in no order and no direction, put together to one tree from its root on."""

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.branching.attachment import OF_A_BRANCH, OF_THE_REST, measure_attachment
from zoo_pipeline.trajectories.branching.continuation import continuation_score
from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.polishing import insert, polish
from zoo_pipeline.trajectories.branching.smoothness import Smoothness
from zoo_pipeline.trajectories.branching.tearing import tear
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.direction import direction_log_odds
from zoo_pipeline.trajectories.direction_cues import LEAST_CHECKPOINTS

Rows = NDArray[np.int64]

# Chosen on development zoos (digits, mnist-10k; SGD, Adam), then frozen.
_OUTWARD = 3.0  # what heading straight away from the root adds to the score of a direction
_ROUNDS = 3
_LEAST_LINE = 3  # rows of a line on which a fork is placed by more than distance
_NO_HEADING = -50.0  # score of a path of one row: it is attached last, by distance


def grow(
    smoothness: Smoothness, pieces: list[Rows], root: int, points: NDArray[np.floating], layout: Layout | None
) -> Tree:
    """Put paths together to a tree.

    From the path of the root on, the path that fits best is attached, in its better direction and at its best row of
    the lines there are: by `measure_attachment`, by the log-odds of its direction, and by how straight it leads away
    from the root. A path of one row, which has no direction, is put in where it lies smoothest.

    Then, in turn: what would rather go on from another path is torn off (`tear`); every path looks again for the row it
    left, on all lines but those that branch from it; what begins at the end of a path continues it; where two leave one
    row, it is decided which of them goes on; and crossed links are exchanged (`polish`).

    Args:
        smoothness: of the family.
        pieces: the rows of each path, in order up to reversal.
        root: a row.
        points: float[m, d], the weights that `layout` describes, for the direction.
        layout: if known.

    Returns:
        The tree; the root's path first.
    """
    coordinates = smoothness.coordinates
    tree = _assembled(coordinates, pieces, root, points, layout)
    for row in [int(piece[0]) for piece in pieces if len(piece) == 1 and piece[0] != root]:
        insert(smoothness, tree, row)
    for _ in range(_ROUNDS):
        tear(coordinates, tree)
        _replant(coordinates, tree)
        _merge(tree)
        for number in range(1, len(tree.paths)):
            _settle(coordinates, tree, number)
        tree = polish(smoothness, tree)
    _merge(tree)
    return tree


def _assembled(
    coordinates: Floats, pieces: list[Rows], root: int, points: NDArray[np.floating], layout: Layout | None
) -> Tree:
    """Attach path after path, the one that fits best first."""
    own = next(number for number, piece in enumerate(pieces) if root in piece)
    trunk = pieces[own] if 2 * int(np.flatnonzero(pieces[own] == root)[0]) < len(pieces[own]) else pieces[own][::-1]
    heads = [
        head for number, piece in enumerate(pieces) if number != own and len(piece) > 1 for head in _both_ways(piece)
    ]
    bonus = np.array([_forward(coordinates, head, root, points, layout) for head in heads])
    score, row = np.full(len(heads), -np.inf), np.zeros(len(heads), np.int64)
    tree = Tree([trunk.tolist()], [-1], [-1])
    waiting = np.ones(len(heads), bool)
    while waiting.any():
        line = np.array(tree.line(len(tree.paths) - 1))
        numbers = np.flatnonzero(waiting)
        fits = _scores(coordinates, line, [heads[number] for number in numbers])
        fit, place = fits.max(axis=1), line[fits.argmax(axis=1)]
        better = fit + bonus[numbers] > score[numbers]
        score[numbers[better]] = (fit + bonus[numbers])[better]
        row[numbers[better]] = place[better]
        best = int(numbers[score[numbers].argmax()])
        waiting[best ^ 1] = waiting[best] = False  # both ways round are one path
        tree.parent_path.append(tree.path_of(int(row[best])))
        tree.parent_row.append(int(row[best]))
        tree.paths.append(heads[best].tolist())
    return tree


def _both_ways(piece: Rows) -> tuple[Rows, Rows]:
    return piece, piece[::-1]


def _forward(coordinates: Floats, head: Rows, root: int, points: NDArray[np.floating], layout: Layout | None) -> float:
    """What speaks for a path's running this way round."""
    first, last = coordinates[head[0]], coordinates[head[-1]]
    span = float(np.linalg.norm(last - first))
    if span == 0:
        return 0.0
    start = coordinates[root]
    outward = float(np.linalg.norm(last - start) - np.linalg.norm(first - start)) / span
    odds = float(direction_log_odds(points[head][None], layout)[0]) if len(head) >= LEAST_CHECKPOINTS else 0.0
    return odds + _OUTWARD * outward


def _scores(coordinates: Floats, line: Rows, heads: list[Rows]) -> Floats:
    """Score the rows of a line for each path to branch from, float64[n, t]."""
    first = coordinates[[head[0] for head in heads]]
    scale = float(np.linalg.norm(coordinates, axis=1).max())
    scores: Floats = _NO_HEADING - np.linalg.norm(first[:, None] - coordinates[line][None], axis=2) / scale
    heading = np.array([len(head) > 1 and len(line) >= _LEAST_LINE for head in heads])
    if heading.any():
        second = coordinates[[head[min(1, len(head) - 1)] for head in heads]]
        measured = measure_attachment(coordinates[line], first[heading], second[heading])
        scores[heading] = OF_A_BRANCH.scores(measured)
    return scores


def _replant(coordinates: Floats, tree: Tree) -> None:
    """Let every path branch from the row that fits best, on its parent's line or any other's."""
    heads = [np.array(path) for path in tree.paths]
    scores = np.empty((len(heads), len(coordinates)))
    for number, path in enumerate(tree.paths):
        scores[:, path] = _scores(coordinates, np.array(tree.line(number)), heads)[:, -len(path) :]
    for number in range(1, len(heads)):
        for own in tree.descent(number):
            scores[number, tree.paths[own]] = -np.inf
        row = int(scores[number].argmax())
        tree.parent_path[number], tree.parent_row[number] = tree.path_of(row), row


def _settle(coordinates: Floats, tree: Tree, number: int) -> None:
    """Decide together where a path left its parent, and which of the two went on there.

    Either the path is the branch, or what comes after the row on its parent is. The odds of a row are the softmax of
    its scores as the one or the other, times those of who goes on.
    """
    parent, branch = tree.parent_path[number], tree.paths[number]
    line = tree.line(parent)
    first_own = max(len(line) - len(tree.paths[parent]), 1)
    if len(line) < _LEAST_LINE or len(branch) < 2 or first_own >= len(line) - 1:
        return
    points, head = coordinates[line], coordinates[branch[:2]]
    measured = measure_attachment(points, head[:1], head[1:])
    odds = np.array(
        [
            continuation_score(points[: place + 1], points[place + 1 :]) - continuation_score(points[: place + 1], head)
            for place in range(first_own, len(line) - 1)
        ]
    )
    own = slice(first_own, len(line) - 1)
    as_branch = _log_softmax(OF_A_BRANCH.scores(measured)[0])[own] - np.logaddexp(0, -odds)
    as_rest = _log_softmax(OF_THE_REST.scores(measured)[0])[own] - np.logaddexp(0, odds)
    tree.parent_row[number] = line[first_own + int(np.maximum(as_branch, as_rest).argmax())]
    if as_rest.max() > as_branch.max():
        tree.exchange_ends(number)


def _log_softmax(scores: Floats) -> Floats:
    return np.asarray(scores - np.logaddexp.reduce(scores))


def _merge(tree: Tree) -> None:
    """Let a path that begins at the last row of another continue it."""
    number = 1
    while number < len(tree.paths):
        parent = tree.parent_path[number]
        if tree.paths[parent][-1] != tree.parent_row[number]:
            number += 1
            continue
        tree.paths[parent] += tree.paths[number]
        del tree.paths[number], tree.parent_path[number], tree.parent_row[number]
        kept = [parent if other == number else other for other in tree.parent_path]
        tree.parent_path = [other - (other > number) for other in kept]
        number = 1
