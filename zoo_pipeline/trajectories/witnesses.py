"""Witnesses: checkpoints some steps away, which tell the order of neighbours that noise has exchanged.

Where noise is as large as a step, of two neighbours the later one may well lie nearer to the checkpoint before both.
But each checkpoint further back is another witness, as long as distances still grow with the steps between. The
shortest path asks the nearest alone.
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Path = NDArray[np.int64]

# Chosen on development zoos (digits; SGD and Adam with weight decay, grids), then frozen.
_FARTHEST = 12  # steps from which a witness is heard
_LEAST_GROWTH = 0.05  # of the distance from one lag to the next, in distances at lag 1: less is none
_TOGETHER = 4  # points whose order is asked for at once
_ROUNDS = 2  # in which the growth is measured anew
_LEAST_GAIN = 1e-12  # relative to what the path costs
_ORDERS = np.array(list(permutations(range(_TOGETHER))))


def settled(distances: Floats, path: Path) -> Path:
    """Exchange neighbours of a path until no order of four that follow each other agrees better with all witnesses.

    The cost is the sum over lags l of w_l times the distances of points l steps apart, with w_l = Σ_{k ≥ l} u_k and
    u_k how much farther points are k + 1 steps apart than k, by the median over the path. So the shortest path is left
    alone where distances do not grow beyond lag 1 (as in a diffusion that is pulled back).

    Args:
        distances: float64[m, m].
        path: int64[m].

    Returns:
        int64[m].
    """
    m = len(path)
    if m < _TOGETHER:
        return path
    for _ in range(_ROUNDS):
        along = distances[np.ix_(path, path)]
        weights = lag_weights(along[None])[0]
        least_gain = _LEAST_GAIN * sum(weight * np.trace(along, lag) for lag, weight in enumerate(weights, start=1))
        before = path
        while True:
            gains, orders = _gains(distances[np.ix_(path, path)][None], weights[None])
            chosen = _apart(gains[0], least_gain, len(weights))
            if not len(chosen):
                break
            path = path.copy()
            for start in chosen:
                path[start : start + _TOGETHER] = path[start + _ORDERS[orders[0, start]]]
        if (path == before).all():
            break
    return path


def is_settled(along: Floats) -> NDArray[np.bool_]:
    """Whether `settled` would leave paths as they are.

    Args:
        along: float64[k, m, m], distances of the points of k paths, in their order.

    Returns:
        bool[k].
    """
    if along.shape[1] < _TOGETHER:
        return np.ones(len(along), bool)
    weights = lag_weights(along)
    cost = sum(weights[:, lag - 1] * np.trace(along, lag, 1, 2) for lag in range(1, weights.shape[1] + 1))
    settled: NDArray[np.bool_] = _gains(along, weights)[0].max(axis=1) <= _LEAST_GAIN * cost
    return settled


def lag_weights(along: Floats) -> Floats:
    """How much distances at each lag count.

    Args:
        along: float64[k, m, m], distances of the points of k paths, in their order.

    Returns:
        float64[k, lags], not increasing; the first is that of lag 1.
    """
    lags = min(_FARTHEST, along.shape[1] - 2)
    medians = np.stack([np.median(np.diagonal(along, lag, 1, 2), axis=1) for lag in range(1, lags + 2)], axis=1)
    growth = np.maximum(np.diff(medians, axis=1) - _LEAST_GROWTH * medians[:, :1], 0.0)
    weights: Floats = growth[:, ::-1].cumsum(axis=1)[:, ::-1]
    return weights


def _gains(along: Floats, weights: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Of each window of some points that follow each other: what the best other order of them gains, and which it is.

    Args:
        along: float64[k, m, m], of k paths.
        weights: float64[k, lags].

    Returns:
        float64[k, m − 3] and int64[k, m − 3], a number in `_ORDERS`.
    """
    k, m, _ = along.shape
    lags = weights.shape[1]
    # Of the distances from a window only those to points up to `lags` steps before and after it count.
    by_lag = np.zeros((k, lags + _TOGETHER + 1))
    by_lag[:, 1 : lags + 1] = weights
    padded = np.zeros((k, m, m + 2 * lags))
    padded[:, :, lags : lags + m] = along
    inside = np.arange(_TOGETHER)
    outside = np.concatenate([np.arange(-lags, 0), np.arange(_TOGETHER, _TOGETHER + lags)])
    starts = np.arange(m - _TOGETHER + 1)
    rows = starts[:, None] + inside
    apart = np.minimum(np.abs(inside[:, None] - outside), lags + 1)
    seen = padded[:, rows[:, :, None], (starts[:, None] + outside + lags)[:, None, :]]
    placed = np.einsum("kpc,kiqc->kipq", by_lag[:, apart], seen)  # point q of the window at place p
    within = along[:, rows[:, :, None], rows[:, None, :]]
    cost = placed[:, :, inside, _ORDERS].sum(axis=3)
    for one, other in zip(*np.triu_indices(_TOGETHER, 1), strict=True):
        cost += by_lag[:, other - one, None, None] * within[:, :, _ORDERS[:, one], _ORDERS[:, other]]
    best = cost.argmin(axis=2)
    return cost[:, :, 0] - np.take_along_axis(cost, best[:, :, None], axis=2)[:, :, 0], best


def _apart(gains: Floats, least_gain: float, lags: int) -> list[int]:
    """Windows that gain enough, the best first, so far apart that none changes what another gains."""
    free = gains > least_gain
    chosen = []
    for start in np.argsort(-gains, kind="stable")[: int(free.sum())].tolist():
        if free[start]:
            chosen.append(start)
            free[max(start - lags - _TOGETHER + 1, 0) : start + lags + _TOGETHER] = False
    return chosen
