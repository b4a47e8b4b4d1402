"""Separation: which checkpoints share a history.

Edges of the minimum spanning tree, and of each row to the likeliest row elsewhere, are scored by `exchange`; those
whose score unrelated networks would hardly ever reach join. What is connected is a family: one trajectory, or several
that share a start.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

from zoo_pipeline.trajectories.components import connected
from zoo_pipeline.trajectories.exchange import Split, exchange_scores
from zoo_pipeline.trajectories.linkage import SpanningTree

# Frozen after trials on development zoos (docs/recovery.md; benchmarks.looks). Two unrelated trajectories of 26 to 51
# checkpoints were as alike at their most alike as up to 44 independent pairs of networks would be.
FALSE_JOINS = 0.02  # expected in a bag
LOOKS = 50  # independent chances to join two unrelated trajectories
_BLOCK_ROWS = 1024
_CROWDED = 8  # from this part of all pairs on, fellows are marked one by one no longer
_CACHED_ENTRIES = 1 << 19  # of a block that is worked on over and over


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


@dataclass(frozen=True)
class ScoredEdges:
    """The edges that may join n rows.

    Attributes:
        edges: int32[p, 2]; they hold a spanning tree.
        lengths: float64[p], cosine distances.
        scores: float64[p], see `exchange_scores`.
        variance: float32[n], of each row's cosine with its like.
        stranger: float32[n], distance of the nearest row of another family; infinite where there is none.
    """

    edges: NDArray[np.int32]
    lengths: NDArray[np.float64]
    scores: NDArray[np.float64]
    variance: NDArray[np.float32]
    stranger: NDArray[np.float32]


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
        labels = connected(tree.edges[tree.heights <= cut], n)
        stranger, _ = _strangers(distances, labels, np.ones(n, np.float32))
        fellow = np.minimum(_nearest_fellow(tree.edges, tree.heights, labels), cut)
        return Separation(labels, cut, confidences(fellow, stranger), None)
    scored = score_edges(distances, tree, split)
    found, labels = families(scored.edges, scored.scores, n, n)
    limit = threshold(found)
    longest = float(scored.lengths[scored.scores >= limit].max(initial=0.0))
    return Separation(labels, longest, scored_confidences(scored, labels, limit), limit)


def score_edges(distances: NDArray[np.float32], tree: SpanningTree, split: Split, others: int = 0) -> ScoredEdges:
    """Score the edges of the tree, and of each row to the likeliest row elsewhere, until that joins no more families.

    Args:
        distances: as in `separate`.
        tree: their minimum spanning tree.
        split: of the weights.
        others: families among rows that are known to be unrelated to these, and are not here.
    """
    n = len(distances)
    edges, lengths, scores = tree.edges, tree.heights, _scores(split, tree.edges)
    own = [torch.empty(0)]
    for block in _blocks(n):
        some = split.take(block)
        own.append(some.cosines(some)[1].cpu())
    variance = torch.cat(own).numpy()
    found = n
    while True:
        found, labels = families(edges, scores, n, found, others)
        stranger, further = _strangers(distances, labels, variance**-0.25)
        further_scores = _scores(split, further)
        if not (further_scores >= threshold(found + others)).any():
            return ScoredEdges(edges, lengths, scores, variance, stranger)
        edges, scores = np.concatenate([edges, further]), np.concatenate([scores, further_scores])
        lengths = np.concatenate([lengths, distances[further[:, 0], further[:, 1]]])


def scored_confidences(scored: ScoredEdges, labels: NDArray[np.int32], limit: float) -> NDArray[np.float32]:
    """`confidences` of rows whose families are what edges of at least the score `limit` connect: float32[n]."""
    # The distance at which a row would have been joined to one like itself.
    reach = 1 - np.sqrt(-np.expm1(-(limit**2) * scored.variance))
    return confidences(np.minimum(_nearest_fellow(scored.edges, scored.lengths, labels), reach), scored.stranger)


def threshold(families: int) -> float:
    """The score from which two rows are related, where there are so many families: a Bonferroni bound.

    >>> round(threshold(64), 2), round(threshold(10_000), 2)
    (5.07, 6.74)
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


def confidences(fellow: NDArray[np.floating], stranger: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rate how clearly each row belongs where it was put: 1 − (nearest fellow / nearest stranger), clipped to [0, 1].

    A fellow is another row of the same family, a stranger a row of another. A row alone in its family has no fellow;
    the distance at which one would have been accepted stands in for it. Without any stranger the confidence is 1.

    Args:
        fellow: float[n], distance of the nearest fellow, at most that at which the row would accept one.
        stranger: float[n], distance of the nearest stranger; infinite where there is none.

    Returns:
        float32[n].
    """
    ratio = np.divide(fellow, stranger, out=np.ones(len(fellow)), where=stranger > 0)
    confidence: NDArray[np.float32] = (1.0 - np.clip(ratio, 0.0, 1.0)).astype(np.float32)
    return confidence


def _nearest_fellow(
    edges: NDArray[np.int32], lengths: NDArray[np.floating], labels: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Distance of each row to its nearest fellow, by edges that hold a spanning tree: float64[n].

    A minimum spanning tree joins every row to its nearest neighbour. Where no edge says how near a fellow is, a
    stranger is nearer, and the distance is left infinite.
    """
    nearest = np.full(len(labels), np.inf)
    inside = labels[edges[:, 0]] == labels[edges[:, 1]]
    for end in (0, 1):
        np.minimum.at(nearest, edges[inside, end], lengths[inside])
    return nearest


def families(
    edges: NDArray[np.integer], scores: NDArray[np.float64], n: int, most: int, others: int = 0
) -> tuple[int, NDArray[np.int32]]:
    """Number and labels of the families among n rows, where there are at most so many, and others elsewhere.

    The fewer families there are, the fewer chances there were for a false join, and the lower the threshold may be.
    It is lowered until that finds no fewer: with a threshold for too many families no false join is likelier than
    with the right one.
    """
    while True:
        labels = connected(edges[scores >= threshold(most + others)], n)
        found = int(labels.max(initial=-1)) + 1
        if found >= most:
            return most, labels
        most = found


def _strangers(
    distances: NDArray[np.float32], labels: NDArray[np.int32], weight: NDArray[np.floating]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Find the nearest row of another family, and the one whose score is likely to be highest.

    The variance of two rows' cosine is about the geometric mean of what each has with its like; of that the row's own
    share is the same for all candidates.

    Args:
        distances: float32[n, n].
        labels: int32[n], the families.
        weight: float32[n], of each row's cosines with others: variance^(−1/4).

    Returns:
        float32[n], the distance of the nearest, infinite where there is no other family; and int32[≤ n, 2], each row
        that has one and the likeliest.
    """
    n = len(labels)
    family, factor = torch.from_numpy(labels), torch.from_numpy(weight)
    nearest, likeliest = torch.full((n,), torch.inf), torch.zeros(n, dtype=torch.int64)
    fellows = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    first = np.cumsum(sizes) - sizes
    for block in _blocks(n, max(1, _CACHED_ENTRIES // max(n, 1))):
        far = torch.from_numpy(distances[block]).clone()
        counts = sizes[labels[block]]
        if _CROWDED * counts.sum() > far.numel():
            far.masked_fill_(family[block, None] == family[None, :], torch.inf)
        else:
            row = np.repeat(np.arange(len(counts)), counts)
            along = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            far.numpy()[row, fellows[np.repeat(first[labels[block]], counts) + along]] = np.inf
        nearest[block] = far.amin(1)
        likeliest[block] = far.sub_(1).mul_(factor).min(1).indices
    some = torch.isfinite(nearest)
    pairs = torch.stack([torch.arange(n), likeliest], 1)[some]
    return nearest.numpy(), pairs.numpy().astype(np.int32)


def _scores(split: Split, pairs: NDArray[np.int32]) -> NDArray[np.float64]:
    """Exchange scores float64[p] of pairs of rows int[p, 2]."""
    scores = [torch.empty(0)]
    for block in _blocks(len(pairs)):
        one, two = torch.from_numpy(pairs[block].astype(np.int64)).to(split.rows.device).unbind(1)
        scores.append(exchange_scores(*split.take(one).cosines(split.take(two))).cpu())
    found: Tensor = torch.cat(scores).double()
    return np.asarray(found.numpy())


def _blocks(n: int, rows: int = _BLOCK_ROWS) -> list[slice]:
    return [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
