"""Linkage: the minimum spanning tree of all checkpoints and the single-linkage dendrogram it holds."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_pipeline.trajectories.components import connected, groups
from zoo_pipeline.trajectories.distances import UnitRows, cosine_distance_of_pairs, cosine_distances

# Distances above it are long beside the rounding of products in float32, some 1e-7.
_CLOSE = 0.01
_TOGETHER = 512  # rows whose units are held at once


@dataclass(frozen=True)
class SpanningTree:
    """A minimum spanning tree, shortest edge first.

    Attributes:
        edges: int32[n − 1, 2], the two rows that each edge joins.
        heights: float64[n − 1], the lengths of the edges, ascending.
    """

    edges: NDArray[np.int32]
    heights: NDArray[np.float64]


def minimum_spanning_edges(distances: NDArray[np.floating]) -> NDArray[np.int32]:
    """Find a minimum spanning tree by Prim's algorithm: O(n²) time, O(n) extra memory.

    Edges of length zero count like any other (a sparse-graph routine would drop them). Ties go to the lower row number.

    Args:
        distances: float[n, n], symmetric.

    Returns:
        int32[max(n − 1, 0), 2]: (row already in the tree, row that joins it), in the order of growth from row 0.
    """
    n = len(distances)
    edges = np.empty((max(n - 1, 0), 2), np.int32)
    if n == 0:
        return edges
    outside = np.ones(n, bool)
    outside[0] = False
    nearest = distances[0].copy()
    nearest[0] = np.inf
    parent = np.zeros(n, np.int32)
    for k in range(n - 1):
        row = int(nearest.argmin())
        edges[k] = parent[row], row
        outside[row] = False
        nearest[row] = np.inf
        closer = (distances[row] < nearest) & outside
        np.copyto(nearest, distances[row], where=closer)
        np.copyto(parent, row, where=closer)
    return edges


def tree_branches(edges: NDArray[np.integer]) -> bool:
    """Whether a tree is more than a path: some row has three edges, of int[n − 1, 2]."""
    return bool(np.bincount(edges.ravel()).max(initial=0) > 2)


def spanning_tree(distances: NDArray[np.float32], weights: NDArray[np.float32], device: str = "cpu") -> SpanningTree:
    """Build the minimum spanning tree on the cosine metric, its heights recomputed in float64 from the weights.

    The distances may come from products in float32: rows that they call close are compared again. What a minimum
    spanning tree joins by edges shorter than some length, it joins by a minimum spanning tree of these rows alone.

    Args:
        distances: float32[n, n] of `cosine_distances(weights)`; those of close rows are overwritten with accurate ones.
        weights: float32[n, d].
        device: where close rows are compared again.

    Returns:
        The tree; edges of equal height keep the order in which Prim's algorithm found them.
    """
    edges = minimum_spanning_edges(distances)
    close = distances[edges[:, 0], edges[:, 1]] < _CLOSE
    finer, heights = [edges[~close]], [cosine_distance_of_pairs(weights, *edges[~close].T)]
    rows = torch.from_numpy(weights).to(device)
    for group in groups(connected(edges[close], len(weights))):
        if len(group) > 1:
            accurate, own, lengths = _accurate(rows[torch.from_numpy(group).to(device)])
            distances[np.ix_(group, group)] = accurate
            finer.append(group[own].astype(np.int32))
            heights.append(lengths)
    every = np.concatenate(heights)
    ascending = np.argsort(every, kind="stable")
    return SpanningTree(np.concatenate(finer)[ascending], every[ascending])


def _accurate(rows: Tensor) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float64]]:
    """Distances of close rows from products in float64, the edges of their tree, and the lengths of these."""
    if len(rows) > _TOGETHER:
        held = rows.cpu().numpy()
        distances = cosine_distances(held, device=rows.device)
        edges = minimum_spanning_edges(distances)
        return distances, edges, cosine_distance_of_pairs(held, *edges.T)
    units = UnitRows.of(rows)
    distances = units.every_distance()
    edges = minimum_spanning_edges(distances)
    return distances, edges, units.distances(*torch.from_numpy(edges.astype(np.int64)).T)


def linkage_table(tree: SpanningTree) -> NDArray[np.float64]:
    """Write a spanning tree as the table of `scipy.cluster.hierarchy.linkage(..., "single")`.

    Row k says that edge k of the tree joins two clusters into cluster n + k. Single linkage and the minimum spanning
    tree are the same thing (Gower & Ross 1969).

    Returns:
        float64[n − 1, 4]: the two clusters (the lower number first), the height, the number of leaves joined.
    """
    n = len(tree.edges) + 1
    parent = list(range(2 * n - 1))
    size = [1] * n + [0] * (n - 1)

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    lower, higher, joined = ([0] * (n - 1) for _ in range(3))
    for k, (one, other) in enumerate(zip(*tree.edges.T.tolist(), strict=True)):
        first, second = root(one), root(other)
        parent[first] = parent[second] = n + k
        size[n + k] = joined[k] = size[first] + size[second]
        lower[k], higher[k] = (first, second) if first < second else (second, first)
    return np.stack([np.array(column, np.float64) for column in (lower, higher, tree.heights, joined)], axis=1)
