"""Components: what edges connect."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def connected(edges: NDArray[np.integer], n: int) -> NDArray[np.int32]:
    """Label the connected components of n rows, numbered by their first row.

    Args:
        edges: int[p, 2], pairs of rows.
        n: rows.

    Returns:
        int32[n].

    Example:
        >>> connected(np.array([[3, 1]]), 4).tolist()
        [0, 1, 2, 1]
    """
    graph = coo_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    return rank[labels]


def groups(labels: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """List the rows of each label, both ascending.

    Example:
        >>> [rows.tolist() for rows in groups(np.array([0, 1, 0]))]
        [[0, 2], [1]]
    """
    if len(labels) == 0:
        return []
    rows = np.argsort(labels, kind="stable")
    return np.split(rows, np.flatnonzero(np.diff(labels[rows])) + 1)
