"""Branches: one family of checkpoints unfolded into the trajectories that branch from each other."""

from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.branching.belief import BELIEVED, branching_odds, goes_two_ways, measure_belief
from zoo_pipeline.trajectories.branching.common_start import cover_from_root, smooth_from_root
from zoo_pipeline.trajectories.branching.drift import Floats, drift_free_squares, isometric_coordinates
from zoo_pipeline.trajectories.branching.smoothness import Smoothness
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.branching.unrooted import unrooted_tree
from zoo_pipeline.trajectories.linkage import minimum_spanning_edges, tree_branches
from zoo_pipeline.trajectories.ordering import euclidean_distances, settled_order, shortest_path

Rows = NDArray[np.int64]

# Chosen on development zoos (digits, mnist-10k; SGD, Adam), then frozen.
MOST_ROWS = 4_096  # of a family with a known start: some minutes
MOST_FORKED_ROWS = 1_000  # of one without: under a minute with fifty forks
_LONGER = 1.012  # than the spanning tree: from there on a path through all points is none, where a start is known
_BANDWIDTH_ROWS = 20


@dataclass(frozen=True)
class Branches:
    """A family of m checkpoints as a tree of trajectories.

    Attributes:
        paths: the rows of each trajectory in order; the root's trajectory first. Every row is in exactly one.
        parent_path: int64[k], the path that each path branched from; −1 for the first.
        parent_row: int64[k], the row that each path branched from; −1 for the first.
        confidence: float64[m] in [0, 1], how clearly each row's predecessor is the one given: 1 − (its squared distance
            without the common drift / that of the next best), 0 where another was nearer. Not a probability. 1 for the
            root. In a family that does not branch 1, or the probability of that where a tree came close.
        oriented: whether the paths run forward from the root; a family that does not branch is ordered up to reversal.
    """

    paths: list[Rows]
    parent_path: Rows
    parent_row: Rows
    confidence: Floats
    oriented: bool


def unfold(
    points: NDArray[np.floating],
    multiplicity: NDArray[np.integer] | None = None,
    root: int | None = None,
    layout: Layout | None = None,
) -> Branches:
    """Unfold one family: which rows follow which, and where trajectories branch.

    A family whose minimum spanning tree is a path that does not turn back at a repeated row does not branch and is
    ordered by `order_along_path`. Nor does one that a single path explains nearly as well as a tree.

    Where k copies of the root are known, k paths begin there: `smooth_from_root`, else `cover_from_root`, which takes
    O(m³) time and about six matrices of 8·m² bytes. Else the paths of `smooth_cover` are put together to a tree
    (`grow`). A family of more than `MOST_ROWS`, or `MOST_FORKED_ROWS`, that branches is too large: it comes out as one
    path, with confidence 0 where that is longer than the spanning tree by more than 1.2 %.

    Args:
        points: float[m, d], distinct.
        multiplicity: int[m], how many checkpoints each row stands for; None for one each.
        root: the row where the family began; None takes the most frequent repeated row, else a guess by the direction
            of the longest path.
        layout: of the d weights, if known.

    Returns:
        The tree.
    """
    rows: Floats = np.asarray(points, np.float64)
    m = len(rows)
    copies = np.ones(m, np.int64) if multiplicity is None else np.asarray(multiplicity, np.int64)
    distances = euclidean_distances(rows)
    edges = minimum_spanning_edges(distances)
    shortest = shortest_path(distances, edges)
    order = settled_order(distances, edges, shortest)
    branches = tree_branches(edges)
    tree_length = float(distances[edges[:, 0], edges[:, 1]].sum())
    longer = distances[shortest[1:], shortest[:-1]].sum() / tree_length if branches and tree_length else 1.0
    starts_known = copies.max(initial=1) > 1 if root is None else copies[root] > 1
    if starts_known:
        # Noise alone makes a spanning tree branch, too; but then the shortest path through all points is hardly longer.
        branches = longer > _LONGER or (not branches and _turns_back(rows, copies > 1, edges))
    if not branches:
        return _one_path(order, 1.0)
    if m > (MOST_ROWS if starts_known else MOST_FORKED_ROWS):
        return _one_path(order, 0.0 if longer > _LONGER else 1.0)
    if not starts_known:
        return _forked(rows, distances, order, root, layout)
    if root is None:
        root = int(copies.argmax())
    starts = int(copies[root])
    if m <= MOST_FORKED_ROWS:
        tree = smooth_from_root(Smoothness(isometric_coordinates(rows), root), root, starts)
        if tree is not None:
            return _of_tree(rows, tree, root)
    progress = np.linalg.norm(rows - rows[root], axis=1)
    squares = drift_free_squares(rows, progress, max(_BANDWIDTH_ROWS, 2 * starts))
    place = np.empty(m, np.int64)
    place[np.lexsort((progress, np.arange(m) != root))] = np.arange(m)
    squares[place[None, :] >= place[:, None]] = np.inf  # only rows nearer the root can come before
    parent = cover_from_root(squares, progress, root, starts)
    return _star(parent, root, progress, _confidence(squares, parent))


def _one_path(order: Rows, confidence: float) -> Branches:
    """A family that does not branch, or all of it in one path."""
    none = np.full(min(len(order), 1), -1)
    return Branches([order] if len(order) else [], none, none, np.full(len(order), confidence), oriented=False)


def _turns_back(points: Floats, repeated: NDArray[np.bool_], edges: NDArray[np.integer]) -> bool:
    """Whether the path that a spanning tree is turns at a repeated row: two trajectories leave from there."""
    for row in np.flatnonzero(repeated):
        touching = edges[(edges == row).any(axis=1)]
        if len(touching) > 1:
            beside = touching.sum(axis=1) - row
            if np.dot(points[beside[0]] - points[row], points[beside[1]] - points[row]) > 0:
                return True
    return False


def _forked(points: Floats, distances: Floats, order: Rows, root: int | None, layout: Layout | None) -> Branches:
    """Unfold a family without a known start, unless a single path does nearly as well as a tree."""
    found = unrooted_tree(points, root, layout)
    if found is None:
        return _one_path(order, 1.0)
    odds = branching_odds(measure_belief(found.tree, order, distances, found.smoothness))
    if odds >= BELIEVED and goes_two_ways(found.tree):
        return _of_tree(points, found.tree, found.root)
    return _one_path(order, 1 / (1 + exp(odds)))


def _of_tree(points: Floats, tree: Tree, root: int) -> Branches:
    """The tree with how sure its links are."""
    progress = np.linalg.norm(points - points[root], axis=1)
    squares = drift_free_squares(points, progress, _BANDWIDTH_ROWS)
    parent = np.full(len(points), -1)
    for path, left in zip(tree.paths, tree.parent_row, strict=True):
        parent[path] = [left, *path[:-1]]
    for row in range(len(parent)):  # what comes after a row cannot have come before
        above = row
        while above >= 0:
            squares[above, row] = np.inf
            above = int(parent[above])
    paths = [np.array(path) for path in tree.paths]
    return Branches(
        paths, np.array(tree.parent_path), np.array(tree.parent_row), _confidence(squares, parent), oriented=True
    )


def _confidence(squares: Floats, parent: Rows) -> Floats:
    """Compare the predecessor's squared distance with the best other one's; see `Branches`."""
    confidence = np.ones(len(parent))
    for row in np.flatnonzero(parent >= 0):
        chosen = squares[row, parent[row]]
        other = np.delete(squares[row], parent[row]).min(initial=np.inf)
        confidence[row] = float(np.clip(1 - chosen / other, 0, 1)) if other > 0 else 0.0
    return confidence


def _star(parent: Rows, root: int, progress: Floats, confidence: Floats) -> Branches:
    """List the paths that begin at the root: the root's own first, which is itself alone, the others as they begin."""
    heads = np.flatnonzero(parent == root)
    following = np.full(len(parent), -1)
    continues = (parent >= 0) & (parent != root)
    following[parent[continues]] = np.flatnonzero(continues)
    paths = [np.array([root])]
    for head in heads[np.lexsort((heads, progress[heads]))]:
        walk = [int(head)]
        while following[walk[-1]] >= 0:
            walk.append(int(following[walk[-1]]))
        paths.append(np.array(walk))
    from_root = np.append(-1, np.zeros(len(heads), np.int64))
    return Branches(paths, from_root, np.where(from_root < 0, -1, root), confidence, oriented=True)
