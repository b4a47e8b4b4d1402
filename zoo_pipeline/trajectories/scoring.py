"""Scoring: a recovery against the truth. The only module here that sees labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.concordance import Concordance, concordance
from zoo_pipeline.trajectories.direction_cues import LEAST_CHECKPOINTS
from zoo_pipeline.trajectories.distances import cosine_distance_of_pairs
from zoo_pipeline.trajectories.exchange import split_weights
from zoo_pipeline.trajectories.recovery import Recovery

Ints = NDArray[np.integer]
_MOST_CELLS = 10_000_000  # of the table that scikit-learn's adjusted mutual information goes through


@dataclass(frozen=True)
class Scores:
    """How well a whole bag was recovered; None where the truth does not define the figure.

    Order and direction are scored per *true* trajectory, on the rows in its largest recovered fragment.

    Attributes:
        trajectories_found: recovered trajectories.
        trajectories_true: true trajectories with at least one scored row.
        ari: adjusted Rand index of the partition.
        ami: adjusted mutual information of the partition.
        exact_trajectories: fraction of the true trajectories whose rows are exactly the rows of a recovered one.
        margin: smallest cosine distance (of what the recovery compares, see `Recovery.linkage`) between checkpoints
            of different true trajectories, over the largest between consecutive epochs of one. Above 1 the two kinds
            of distances do not overlap.
        kendall_tau_mean: mean of |τ|. A pair of checkpoints counts +1 in the true order, −1 against it, and 0 where one
            of them is outside the fragment; τ is the mean over all pairs. Pairs of equal epoch or equal weights, which
            nothing could order, are left out, and so are trajectories without any pair.
        kendall_tau_min: smallest |τ|.
        order_exact: fraction of these trajectories with |τ| = 1.
        direction_accuracy: fraction of all true trajectories of at least 3 checkpoints whose direction was decided and
            is right (τ > 0): the undecided count as not right.
        direction_undecided: fraction of the same trajectories whose direction was left undecided.
    """

    trajectories_found: int
    trajectories_true: int | None = None
    ari: float | None = None
    ami: float | None = None
    exact_trajectories: float | None = None
    margin: float | None = None
    kendall_tau_mean: float | None = None
    kendall_tau_min: float | None = None
    order_exact: float | None = None
    direction_accuracy: float | None = None
    direction_undecided: float | None = None


@dataclass(frozen=True)
class TrajectoryScores:
    """How well each of the k recovered trajectories matches the true one that most of its rows come from.

    Attributes:
        model_id: int64[k], that true trajectory (of equals the lowest); −1 where no row has a truth.
        purity: float32[k], fraction of the scored rows that are its own; NaN without scored rows.
        exact: bool[k], whether the rows are exactly its rows.
        kendall_tau: float32[k], τ of its rows here, positive where the direction is right; NaN without a pair to order.
        order_exact: bool[k], whether |τ| = 1.
        direction_correct: bool[k], whether the direction was decided and τ > 0.
    """

    model_id: NDArray[np.int64]
    purity: NDArray[np.float32]
    exact: NDArray[np.bool_]
    kendall_tau: NDArray[np.float32]
    order_exact: NDArray[np.bool_]
    direction_correct: NDArray[np.bool_]


def score(
    recovery: Recovery,
    weights: NDArray[np.float32] | None,
    model_id: Ints | None = None,
    epoch: Ints | None = None,
    layout: Layout | None = None,
) -> Scores:
    """Score a recovery.

    Args:
        recovery: of these weights.
        weights: float32[n, d]; None where they are not at hand, and the margin is not wanted.
        model_id: int[n], the true trajectory of each row, numbered through where several runs are analysed together;
            negative where unknown. Rows of unknown truth and rows that the recovery left out are not scored.
        epoch: int[n], or another whole number that orders the rows of a model; negative where unknown.
        layout: the one that the recovery was given.

    Returns:
        The figures; without `model_id` only the number found, without `epoch` none that need an order.
    """
    found = len(recovery.length)
    if model_id is None:
        return Scores(found)
    scored = (recovery.trajectory >= 0) & (model_id >= 0)
    if not scored.any():
        return Scores(found)
    ari, ami = _agreement(model_id[scored], recovery.trajectory[scored])
    table = score_trajectories(recovery, model_id, epoch)
    true = len(np.unique(model_id[scored]))
    partition = Scores(found, true, ari, ami, exact_trajectories=int(table.exact.sum()) / true)
    if epoch is None:
        return partition
    orders, directions = [], []
    for rows in _groups(model_id, scored & (epoch >= 0)):
        fragment = _most_common(recovery.trajectory[rows])
        order = _order(recovery, epoch, rows, recovery.trajectory[rows] == fragment)
        if order.pairs:
            orders.append(order)
        if len(rows) >= LEAST_CHECKPOINTS:
            directions.append((bool(recovery.direction_decided[fragment]), order.balance > 0))
    taus = [abs(order.tau) for order in orders]
    return replace(
        partition,
        margin=None if weights is None else _margin(recovery, weights, model_id, epoch, layout),
        kendall_tau_mean=_mean(taus),
        kendall_tau_min=min(taus, default=None),
        order_exact=_mean([tau == 1 for tau in taus]),
        direction_accuracy=_mean([decided and forward for decided, forward in directions]),
        direction_undecided=_mean([not decided for decided, _ in directions]),
    )


def score_trajectories(recovery: Recovery, model_id: Ints, epoch: Ints | None = None) -> TrajectoryScores:
    """Score every recovered trajectory against the true one that most of its rows come from.

    Args:
        recovery: of n rows.
        model_id: as in `score`.
        epoch: as in `score`.

    Returns:
        One entry per recovered trajectory.
    """
    k = len(recovery.length)
    scores = TrajectoryScores(
        model_id=np.full(k, -1, np.int64),
        purity=np.full(k, np.nan, np.float32),
        exact=np.zeros(k, bool),
        kendall_tau=np.full(k, np.nan, np.float32),
        order_exact=np.zeros(k, bool),
        direction_correct=np.zeros(k, bool),
    )
    scored = (recovery.trajectory >= 0) & (model_id >= 0)
    size = {int(model_id[rows[0]]): len(rows) for rows in _groups(model_id, scored)}
    for rows in _groups(recovery.trajectory, scored):
        number = recovery.trajectory[rows[0]]
        model = _most_common(model_id[rows])
        own = rows[model_id[rows] == model]
        scores.model_id[number] = model
        scores.purity[number] = len(own) / len(rows)
        scores.exact[number] = len(own) == len(rows) == size[model]
        if epoch is not None:
            order = _order(recovery, epoch, own[epoch[own] >= 0])
            scores.kendall_tau[number] = order.tau
            scores.order_exact[number] = abs(order.tau) == 1
            scores.direction_correct[number] = recovery.direction_decided[number] and order.balance > 0
    return scores


def _agreement(true: Ints, found: Ints) -> tuple[float, float | None]:
    """Adjusted Rand index and adjusted mutual information of two partitions; exactly 1 where they are equal.

    The latter is None where it would take hours.
    """
    pairs = len(np.unique(np.stack([true, found], axis=1), axis=0))
    clusters = len(np.unique(true)), len(np.unique(found))
    if (pairs, pairs) == clusters:
        return 1.0, 1.0
    if clusters[0] * clusters[1] > _MOST_CELLS:
        return float(adjusted_rand_score(true, found)), None
    return float(adjusted_rand_score(true, found)), float(adjusted_mutual_info_score(true, found))


def _order(recovery: Recovery, epoch: Ints, rows: Ints, placed: NDArray[np.bool_] | None = None) -> Concordance:
    """Compare epochs and recovered positions of some rows."""
    return concordance(epoch[rows], recovery.position[rows], recovery.content[rows], placed)


def _margin(
    recovery: Recovery, weights: NDArray[np.float32], model_id: Ints, epoch: Ints, layout: Layout | None
) -> float | None:
    """Smallest distance between different true trajectories over the largest step within one.

    The closest two rows of different trajectories are joined by an edge of the minimum spanning tree: the path between
    them in the tree changes trajectory somewhere, and none of its edges is longer than they are apart. So the tree is
    enough, as long as every row of it has a known truth; else the margin is None. So it is with fewer than two
    trajectories or without a step of positive length.
    """
    rows = np.flatnonzero(recovery.leaf >= 0)
    if (model_id[rows] < 0).any():
        return None
    leaves = np.empty(len(rows), model_id.dtype)
    leaves[recovery.leaf[rows]] = model_id[rows]
    between = recovery.linkage[leaves[recovery.edges[:, 0]] != leaves[recovery.edges[:, 1]], 2]
    dated = rows[epoch[rows] >= 0]
    dated = dated[np.lexsort((recovery.leaf[dated], epoch[dated], model_id[dated]))]
    consecutive = model_id[dated[1:]] == model_id[dated[:-1]]
    split = split_weights(weights[dated], layout)
    compared = weights[dated] if split is None else split.rows.numpy()
    first = np.flatnonzero(consecutive)
    steps = cosine_distance_of_pairs(compared, first, first + 1)
    longest = float(steps.max(initial=0.0))
    return float(between[0]) / longest if len(between) and longest > 0 else None


def _groups(labels: Ints, chosen: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """List the chosen rows of each label, labels ascending."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.argsort(labels[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(labels[rows])) + 1) if len(rows) else []


def _most_common(labels: Ints) -> int:
    """Return the most common label, of equals the lowest."""
    values, counts = np.unique(labels, return_counts=True)
    return int(values[counts.argmax()])


def _mean(values: Sequence[float]) -> float | None:
    """Mean, or None of nothing."""
    return float(np.mean(values)) if values else None
