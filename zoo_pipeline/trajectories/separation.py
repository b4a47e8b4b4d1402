"""Separation: which checkpoints share a history.

Edges of the minimum spanning tree, and of each row to the likeliest row elsewhere, are scored by `exchange`; those
whose score unrelated networks would hardly ever reach join. What is connected is a family: one trajectory, or several
that share a start.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats import norm
from torch import Tensor

from zoo_pipeline.trajectories.exchange import Split, exchange_scores
from zoo_pipeline.trajectories.linkage import SpanningTree

# Frozen after trials on development zoos (docs/recovery.md). Two unrelated trajectories of 26 to 51 checkpoints were as
# alike at their most alike as up to 44 independent pairs of networks would be.
FALSE_JOINS = 0.02  # expected in a bag
LOOKS = 50  # independent chances to join two unrelated trajectories
_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Separation:
    """A partition of the rows into families.

    Attributes:
        labels: int32[n], the family of each row, numbered by its first row.
        cut: cosine distance of the longest edge that joins; where the tree itself was cut, of its cut.
        confidence: float32[n] in [0, 1], see `confidences`.
        threshold: score from which two rows were taken to be related; None where the tree was cut.
    """

    labels: NDArray[np.int32]
    cut: float
    confidence: NDArray[np.float32]
    threshold: float | None


def separate(distances: NDArray[np.float32], tree: SpanningTree, split: Split | None) -> Separation:
    """Find the families of a bag.

    Args:
        distances: float32[n, n] cosine distances of the split's rows, or of the weights.
        tree: their minimum spanning tree.
        split: of the weights; None where their layout is not known, or has no hidden layer. Then the tree is cut at its
            largest gap.

    Returns:
        The partition, its cut and every row's confidence.
    """
    n = len(distances)
    if split is None:
        cut = largest_gap(tree.heights)
        labels = _connected(tree.edges[tree.heights <= cut], n)
        return Separation(labels, cut, confidences(distances, labels, np.full(n, cut)), None)
    edges, scores = tree.edges, _scores(split, tree.edges)
    variance = torch.cat([split.take(block).cosines(split.take(block))[1] for block in _blocks(n)]).numpy()
    found = n
    while True:
        found, labels = _families(edges, scores, n, found)
        further = _likeliest_elsewhere(distances, variance, labels)
        further_scores = _scores(split, further)
        if not (further_scores >= threshold(found)).any():
            break
        edges, scores = np.concatenate([edges, further]), np.concatenate([scores, further_scores])
    limit = threshold(found)
    joining = edges[scores >= limit]
    longest = float(distances[joining[:, 0], joining[:, 1]].max(initial=0.0))
    # The distance at which a row would have been joined to one like itself.
    reach = 1 - np.sqrt(-np.expm1(-(limit**2) * variance))
    return Separation(labels, longest, confidences(distances, labels, reach), limit)


def threshold(families: int) -> float:
    """The score from which two rows are related, where there are so many families: a Bonferroni bound.

    >>> round(threshold(64), 2), round(threshold(10_000), 2)
    (5.32, 7.03)
    """
    pairs = max(families * (families - 1) / 2, 1)
    return float(norm.isf(FALSE_JOINS / (LOOKS * pairs)))


def largest_gap(heights: NDArray[np.float64]) -> float:
    """Put the cut in the middle of the largest gap between successive heights.

    For weights of unknown layout. Height 0, the level of the leaves themselves, counts as the first height, so that a
    bag of unrelated networks (all heights near 1) comes out as singletons. This is a heuristic, not a test: it was
    right on 11 of 13 small zoos, and it always finds a gap. In particular **a bag that holds one trajectory alone is
    split** at its longest step. Where all heights are zero the cut is 0 and nothing is split. Of equal gaps the
    lowest wins.

    Args:
        heights: float64[n − 1], ascending, of the spanning tree.

    Returns:
        The cut; edges no longer than it are kept. 0 without any height.

    Example:
        >>> largest_gap(np.array([0.01, 0.03, 0.97]))
        0.5
    """
    if len(heights) == 0:
        return 0.0
    levels = np.concatenate([[0.0], heights])
    widest = int(np.diff(levels).argmax())
    return float((levels[widest] + levels[widest + 1]) / 2)


def confidences(
    distances: NDArray[np.float32], labels: NDArray[np.int32], reach: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Rate how clearly each row belongs where it was put: 1 − (nearest fellow / nearest stranger), clipped to [0, 1].

    A fellow is another row of the same family, a stranger a row of another. A row alone in its family has no fellow;
    the distance at which one would have been accepted stands in for it. Without any stranger the confidence is 1.

    Args:
        distances: float32[n, n].
        labels: int32[n].
        reach: float64[n], the distance at which each row would accept a fellow.

    Returns:
        float32[n].
    """
    fellow, stranger = np.empty(len(labels)), np.empty(len(labels))
    for start in range(0, len(labels), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        strange = labels[rows, None] != labels[None, :]
        stranger[rows] = np.min(distances[rows], axis=1, where=strange, initial=np.inf)
        own = ~strange
        own[np.arange(len(own)), np.arange(start, start + len(own))] = False
        fellow[rows] = np.min(distances[rows], axis=1, where=own, initial=np.inf)
    fellow = np.minimum(fellow, reach)
    ratio = np.divide(fellow, stranger, out=np.ones_like(fellow), where=stranger > 0)
    confidence: NDArray[np.float32] = (1.0 - np.clip(ratio, 0.0, 1.0)).astype(np.float32)
    return confidence


def _families(
    edges: NDArray[np.int32], scores: NDArray[np.float64], n: int, most: int
) -> tuple[int, NDArray[np.int32]]:
    """Number and labels of the families, where there are at most so many.

    The fewer families there are, the fewer chances there were for a false join, and the lower the threshold may be.
    It is lowered until that finds no fewer: with a threshold for too many families no false join is likelier than
    with the right one.
    """
    while True:
        labels = _connected(edges[scores >= threshold(most)], n)
        found = int(labels.max(initial=-1)) + 1
        if found >= most:
            return most, labels
        most = found


def _likeliest_elsewhere(
    distances: NDArray[np.float32], variance: NDArray[np.float32], labels: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Pair each row with the row of another family whose score is likely to be highest: int32[≤ n, 2].

    The variance of two rows' cosine is about the geometric mean of what each has with its like; of that the row's own
    share is the same for all candidates.
    """
    weight = torch.from_numpy(variance).pow(-0.25)
    family = torch.from_numpy(labels)
    pairs = []
    for block in _blocks(len(labels)):
        likely = (1 - torch.from_numpy(distances[block])) * weight
        likely.masked_fill_(family[block, None] == family[None, :], -torch.inf)
        value, row = likely.max(1)
        own = torch.arange(block.start, block.start + len(value))
        pairs.append(torch.stack([own, row], 1)[value > -torch.inf])
    return torch.cat(pairs).numpy().astype(np.int32)


def _scores(split: Split, pairs: NDArray[np.int32]) -> NDArray[np.float64]:
    """Exchange scores float64[p] of pairs of rows int[p, 2]."""
    scores = [torch.empty(0)]
    for block in _blocks(len(pairs)):
        one, two = torch.from_numpy(pairs[block].astype(np.int64)).unbind(1)
        scores.append(exchange_scores(*split.take(one).cosines(split.take(two))))
    found: Tensor = torch.cat(scores).double()
    return np.asarray(found.numpy())


def _blocks(n: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK_ROWS, n)) for start in range(0, n, _BLOCK_ROWS)]


def _connected(edges: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """Label the connected components of n rows, numbered by their first row."""
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[labels]
