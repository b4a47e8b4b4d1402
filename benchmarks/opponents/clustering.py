"""Clustering as the textbooks have it: partitions by scipy and scikit-learn, ordered as the paper orders.

Single linkage with the paper's order is the way of arXiv 2006.10424. Single, average and Ward linkage are given the
true number of trajectories, which nobody knows of a bag; HDBSCAN is given nothing.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.cluster import HDBSCAN
from sklearn.metrics import pairwise_distances

from benchmarks.recovered import Recovered

LINKAGES = {"paper": "single", "average": "average", "ward": "ward"}
OPPONENTS = (*LINKAGES, "hdbscan")


def cluster(weights: NDArray[np.float32], number: int) -> Mapping[str, Recovered]:
    """Every opponent's recovery of a bag float32[n, d] that holds a number of trajectories."""
    distances = pairwise_distances(weights.astype(np.float64))
    condensed = squareform(distances, checks=False)
    partitions = {
        name: fcluster(linkage(condensed, method), number, criterion="maxclust") for name, method in LINKAGES.items()
    }
    partitions["hdbscan"] = HDBSCAN(metric="precomputed", copy=True).fit_predict(distances)
    return {
        name: Recovered.without_links(numbered := _numbered(labels), by_shrinking_steps(weights, numbered))
        for name, labels in partitions.items()
    }


def by_shrinking_steps(weights: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order every cluster by the paper's assumption that steps shrink, which decides the direction too.

    A checkpoint's height in the single-linkage tree is the distance at which it joins another: highest come first.

    Args:
        weights: float32[n, d].
        labels: int64[n], from 0.

    Returns:
        int64[n], every row's position in its cluster.
    """
    position = np.empty(len(labels), np.int64)
    for rows in np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1]):
        height = np.zeros(len(rows))
        if len(rows) > 1:
            near = squareform(pdist(weights[rows].astype(np.float64)))
            np.fill_diagonal(near, np.inf)
            height = near.min(axis=1)
        position[rows[np.argsort(-height, kind="stable")]] = np.arange(len(rows))
    return position


def _numbered(labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """Labels from 0; what HDBSCAN calls noise (−1) is alone."""
    alone = labels < 0
    apart = np.where(alone, labels.max() + 1 + np.cumsum(alone), labels)
    return np.unique(apart, return_inverse=True)[1]
