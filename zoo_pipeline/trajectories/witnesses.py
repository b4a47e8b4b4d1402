"""Witnesses: checkpoints some steps away, which tell the order of others that noise has exchanged.

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
_TOGETHER = 4  # points that follow each other, of which every order is tried
_STRETCH = 16  # points that follow each other, within which stretches are reversed and up to `_MOVED` points moved
_MOVED = 3
_ROUNDS = 2  # in which the growth is measured anew
_LEAST_GAIN = 1e-12  # relative to what the path costs


def _long_moves() -> Path:
    """The orders of `_STRETCH` points as they are, and after one reversal or move at the beginning of the window."""
    orders = [list(range(_STRETCH))]
    for length in range(_TOGETHER + 1, _STRETCH + 1):
        whole, rest = list(range(length)), list(range(length, _STRETCH))
        orders.append(whole[::-1] + rest)
        for moved in range(1, _MOVED + 1):
            first, last = whole[:moved], whole[-moved:]
            for turned in (1, -1)[:moved]:
                orders.append(whole[moved:] + first[::turned] + rest)
                orders.append(last[::turned] + whole[:-moved] + rest)
    return np.array(orders)


_EVERY_ORDER: Path = np.array(list(permutations(range(_TOGETHER))))
_LONG_MOVES = _long_moves()


def settled(distances: Floats, path: Path, *, far: bool = False) -> Path:
    """Change a path until no order of four points that follow each other agrees better with all witnesses.

    The cost is the sum over lags l of w_l times the distances of points l steps apart, with w_l = Σ_{k ≥ l} u_k and
    u_k how much farther points are k + 1 steps apart than k, by the median over the path, less 5 % of a step; 0 where
    that is negative. So the shortest path is left alone where distances do not grow beyond lag 1 (as in a diffusion
    that is pulled back). The weights are measured on the path given, and once more on the path that they lead to; those
    of the path found may be others again.

    Args:
        distances: float64[m, m].
        path: int64[m].
        far: whether points are moved farther as well, and stretches reversed, within sixteen that follow each other.

    Returns:
        int64[m].
    """
    if len(path) < 3:
        return path
    for _ in range(_ROUNDS):
        along = distances[np.ix_(path, path)]
        weights = lag_weights(along[None])
        least_gain = _LEAST_GAIN * _cost(along[None], weights)[0]
        before = path
        path = _exchanged(distances, path, weights, least_gain, _EVERY_ORDER)
        while far:
            further = _exchanged(distances, path, weights, least_gain, _LONG_MOVES)
            if (further == path).all():
                break
            path = _exchanged(distances, further, weights, least_gain, _EVERY_ORDER)
        if (path == before).all():
            break
    return path


def is_settled(along: Floats) -> NDArray[np.bool_]:
    """Whether `settled` would leave paths as they are, without moving points far.

    Args:
        along: float64[k, m, m], distances of the points of k paths, in their order.

    Returns:
        bool[k].
    """
    if along.shape[1] < 3:
        return np.ones(len(along), bool)
    weights = lag_weights(along)
    gains, _ = _gains(along, weights, _EVERY_ORDER)
    found: NDArray[np.bool_] = gains.max(axis=1) <= _LEAST_GAIN * _cost(along, weights)
    return found


def lag_weights(along: Floats) -> Floats:
    """How much distances at each lag count.

    Args:
        along: float64[k, m, m], distances of the points of k paths, in their order, m > 2.

    Returns:
        float64[k, lags], not increasing; the first is that of lag 1.
    """
    lags = min(_FARTHEST, along.shape[1] - 2)
    medians = np.stack([np.median(np.diagonal(along, lag, 1, 2), axis=1) for lag in range(1, lags + 2)], axis=1)
    growth = np.maximum(np.diff(medians, axis=1) - _LEAST_GROWTH * medians[:, :1], 0.0)
    weights: Floats = growth[:, ::-1].cumsum(axis=1)[:, ::-1]
    return weights


def _cost(along: Floats, weights: Floats) -> Floats:
    """What k paths cost, float64[k]."""
    cost: Floats = np.sum([weight * np.trace(along, lag, 1, 2) for lag, weight in enumerate(weights.T, 1)], axis=0)
    return cost


def _exchanged(distances: Floats, path: Path, weights: Floats, least_gain: float, orders: Path) -> Path:
    """Change a path, by orders of as many points that follow each other, until nothing gains."""
    width = orders.shape[1]
    while True:
        gains, best = _gains(distances[np.ix_(path, path)][None], weights, orders)
        starts = _apart(gains[0], least_gain, width + weights.shape[1])
        if not starts:
            return path
        path = path.copy()
        for start in starts:
            order = orders[best[0, start]]
            order = order[: len(path) - start]
            path[start : start + width] = path[start + order]


def _gains(along: Floats, weights: Floats, orders: Path) -> tuple[Floats, Path]:
    """What each window of points that follow each other gains by the best order of them, and which it is.

    Args:
        along: float64[k, m, m], of k paths.
        weights: float64[k, lags].
        orders: int64[n, width], of a window; the first leaves it as it is. Points that an order leaves at the end of a
            window may lie beyond the path.

    Returns:
        float64[k, m] and int64[k, m], by the first point of the window.
    """
    k, m, _ = along.shape
    lags, width = weights.shape[1], orders.shape[1]
    by_lag = np.zeros((k, lags + width + 1))
    by_lag[:, 1 : lags + 1] = weights
    padded = np.zeros((k, m + width, m + 2 * lags + width))  # 0 from points beyond the path
    padded[:, :m, lags : lags + m] = along
    inside, starts = np.arange(width), np.arange(m)
    outside = np.concatenate([np.arange(-lags, 0), np.arange(width, width + lags)])
    rows = starts[:, None] + inside
    apart = np.minimum(np.abs(inside[:, None] - outside), lags + 1)
    seen = padded[:, rows[:, :, None], np.minimum(starts[:, None] + outside + lags, m + lags)[:, None, :]]
    placed = np.einsum("kpc,kiqc->kipq", by_lag[:, apart], seen)  # point q of the window at place p
    within = padded[:, rows[:, :, None], lags + rows[:, None, :]]
    cost = placed[:, :, inside, orders].sum(axis=3)
    for one, other in zip(*np.triu_indices(width, 1), strict=True):
        if other - one <= lags:
            cost += by_lag[:, other - one, None, None] * within[:, :, orders[:, one], orders[:, other]]
    last = np.where(orders != inside, inside, -1).max(axis=1)
    cost[:, starts[:, None] + last >= m] = np.inf
    best = cost.argmin(axis=2)
    return cost[:, :, 0] - np.take_along_axis(cost, best[:, :, None], axis=2)[:, :, 0], best


def _apart(gains: Floats, least_gain: float, reach: int) -> list[int]:
    """Windows that gain enough, the best first, at least `reach` points apart: none changes what another gains."""
    free = gains > least_gain
    chosen = []
    for start in np.argsort(-gains, kind="stable")[: int(free.sum())].tolist():
        if free[start]:
            chosen.append(start)
            free[max(start - reach + 1, 0) : start + reach] = False
    return chosen
