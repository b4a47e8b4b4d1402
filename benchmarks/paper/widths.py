"""Separation and ordering against width: of a singular value decomposition, and of a random projection."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import kendalltau
from sklearn.metrics import adjusted_rand_score

from benchmarks.opponents.clustering import by_shrinking_steps
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.distances import cosine_distances
from zoo_pipeline.trajectories.exchange import split_weights
from zoo_pipeline.trajectories.linkage import linkage_table, spanning_tree
from zoo_pipeline.trajectories.ordering import euclidean_distances, order_along_path
from zoo_pipeline.trajectories.scenarios import KnownBag
from zoo_pipeline.trajectories.separation import separate

NARROWEST = 3
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


def by_width(bag: KnownBag) -> Iterator[dict[str, object]]:
    """Measure both sides at every width: first in full, then each reduction, from wide to narrow.

    A decomposition of n rows has no more than n components: widths above are left out of it.
    """
    yield {"reduction": "none", **measured(bag.weights, bag, bag.layout)}
    dimension = bag.weights.shape[1]
    components = principal_coordinates(bag.weights)
    for width in halvings(dimension)[1:]:
        if width <= components.shape[1]:
            yield {"reduction": "svd", **measured(np.ascontiguousarray(components[:, :width]), bag)}
        projection = np.random.default_rng(width).standard_normal((dimension, width), np.float32)
        yield {"reduction": "random", **measured(bag.weights @ projection, bag)}


def halvings(dimension: int) -> list[int]:
    """Widths from full to the narrowest.

    >>> halvings(100)
    [100, 50, 25, 12, 6, 3]
    """
    widths = [dimension]
    while widths[-1] // 2 > NARROWEST:
        widths.append(widths[-1] // 2)
    return [*widths, NARROWEST]


def principal_coordinates(weights: Floats) -> Floats:
    """Rows times all right singular vectors, the largest singular value first: float32[n, min(n, d)]; not centred.

    From the smaller of the two Gram matrices, in float64.
    """
    rows = torch.from_numpy(weights).double()
    n, dimension = rows.shape
    values, vectors = torch.linalg.eigh(rows.T @ rows if dimension <= n else rows @ rows.T)
    values, vectors = values.flip(0), vectors.flip(1)
    coordinates = rows @ vectors if dimension <= n else vectors * values.clamp_(min=0).sqrt()
    reduced: Floats = coordinates.float().numpy()
    return reduced


def measured(points: Floats, bag: KnownBag, layout: Layout | None = None) -> dict[str, object]:
    """What each side makes of a bag of which it sees these points alone.

    Ours finds the number of trajectories itself; without a layout it can but cut its tree at the largest gap. The
    paper's side, single linkage on Euclidean distances, is told the number. Orders are those of the true trajectories,
    so that an error of the separation does not count twice.
    """
    split = split_weights(points, layout)
    rows = points if split is None else split.rows.numpy()
    distances = cosine_distances(rows)
    ours = spanning_tree(distances, rows)
    labels = separate(distances, ours, split).labels
    papers = linkage(squareform(euclidean_distances(points), checks=False), "single")
    return {
        "width": points.shape[1],
        "ours": {
            "trajectories_found": int(labels.max()) + 1,
            "ari": _ari(bag, labels),
            "ari_number_given": _ari(bag, fcluster(linkage_table(ours), bag.models, criterion="maxclust")),
            **_orders(bag, along_path(points, bag.model_id)),
        },
        "paper": {
            "ari_number_given": _ari(bag, fcluster(papers, bag.models, criterion="maxclust")),
            **_orders(bag, by_shrinking_steps(points, bag.model_id)),
        },
    }


def along_path(points: Floats, labels: Ints) -> Ints:
    """Our order of every cluster: int64[n], every row's position in its own."""
    position = np.empty(len(labels), np.int64)
    for rows in np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1]):
        position[rows[order_along_path(points[rows])]] = np.arange(len(rows))
    return position


def _ari(bag: KnownBag, labels: NDArray[np.integer]) -> float:
    return round(float(adjusted_rand_score(bag.model_id, labels)), 4)


def _orders(bag: KnownBag, position: Ints) -> dict[str, float]:
    """|τ| over the true trajectories, and the fraction of neighbours in true order that are neighbours here."""
    taus, beside = [], []
    for model in range(bag.models):
        rows = np.flatnonzero(bag.model_id == model)
        rows = rows[np.argsort(bag.epoch[rows])]
        taus.append(abs(kendalltau(bag.epoch[rows], position[rows]).statistic))
        beside.append(np.abs(np.diff(position[rows])) == 1)
    return {
        "kendall_tau_mean": round(float(np.mean(taus)), 4),
        "kendall_tau_min": round(float(np.min(taus)), 4),
        "neighbours_kept": round(float(np.mean(beside)), 4),
    }
