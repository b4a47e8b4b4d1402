"""Unrooted: a family of which nothing says where it began, put together as a tree of several paths."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.branching.cover import smooth_cover
from zoo_pipeline.trajectories.branching.drift import Floats, isometric_coordinates
from zoo_pipeline.trajectories.branching.growing import grow
from zoo_pipeline.trajectories.branching.smoothness import Smoothness
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.direction import decide_direction, direction_log_odds
from zoo_pipeline.trajectories.direction_cues import LEAST_CHECKPOINTS
from zoo_pipeline.trajectories.linkage import minimum_spanning_edges
from zoo_pipeline.trajectories.ordering import euclidean_distances, path_through_tree

Rows = NDArray[np.int64]

_CLEAR_ODDS = 3.0  # natural logarithm: of pieces that run against the tree; chosen on development zoos, then frozen


@dataclass(frozen=True)
class UnrootedTree:
    """A tree, its first row, and the smoothness of the family as seen from where it was taken to begin."""

    tree: Tree
    root: int
    smoothness: Smoothness


def unrooted_tree(points: Floats, root: int | None, layout: Layout | None) -> UnrootedTree | None:
    """Put the smooth paths of a family together to a tree, whether or not it is one.

    Args:
        points: float64[m, d], distinct.
        root: where the family began; None for a guess: the earlier end of its longest path, unless its pieces clearly
            run against the tree from there, and more of them with the tree from where the clearest piece begins.
        layout: of the d weights, if known.

    Returns:
        The tree; None where there is nothing but one path.
    """
    start = _likely_root(points, layout) if root is None else root
    coordinates = isometric_coordinates(points)
    smoothness = Smoothness(coordinates, start)
    pieces = smooth_cover(smoothness)
    if len(pieces) <= 1:
        return None
    tree = grow(smoothness, pieces, start, points, layout)
    odds = np.array([_forward_odds(points[piece], layout) for piece in pieces])
    surest = int(np.abs(odds).argmax())  # the piece that most often has the initialisation
    other = int(pieces[surest][0 if odds[surest] >= 0 else -1])
    agreed = _agreed(tree, pieces, odds)
    if root is None and other != start and agreed < np.abs(odds).sum() - _CLEAR_ODDS:
        # What the whole family's path said is not so of all its pieces.
        again = Smoothness(coordinates, other)
        if from_other := smooth_cover(again):
            second = grow(again, from_other, other, points, layout)
            if _agreed(second, pieces, odds) > agreed:
                smoothness, tree = again, second
    return UnrootedTree(tree, tree.paths[0][0], smoothness) if len(tree.paths) > 1 else None


def _likely_root(points: Floats, layout: Layout | None) -> int:
    """Guess where the family began: the earlier end of the path through its rows."""
    distances = euclidean_distances(points)
    path = path_through_tree(distances, minimum_spanning_edges(distances))
    return int(path[0] if decide_direction(points[path], layout).forward else path[-1])


def _forward_odds(path: Floats, layout: Layout | None) -> float:
    """Log-odds that a path runs forward; 0 for one that is too short to say."""
    return float(direction_log_odds(path[None], layout)[0]) if len(path) >= LEAST_CHECKPOINTS else 0.0


def _agreed(tree: Tree, pieces: list[Rows], odds: Floats) -> float:
    """Log-odds of pieces' directions, those added that are the tree's and those subtracted that are not."""
    depth = tree.depth()
    return float(
        sum(one * np.sign(depth[piece[-1]] - depth[piece[0]]) for one, piece in zip(odds, pieces, strict=True))
    )
