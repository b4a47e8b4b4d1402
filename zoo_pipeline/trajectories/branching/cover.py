"""Cover: the rows of a family divided into smooth paths, by which two neighbours every row lies best between."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, vstack

from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.smoothness import END, Smoothness

Rows = NDArray[np.int64]

# Chosen on development zoos (digits, mnist-10k; SGD, Adam), then frozen. Costs are natural logarithms of distance.
_PRUNED_FROM = 2.0  # ends above a row's best choice: worse ones are not looked at
_LEAST_TURN = 0.15  # of a path's progress, that it gives back: there it is two paths joined by their ends
_BESIDE_TURN = 3  # rows of the turn within which the joint is looked for
_SHORTEST_TURNING = 6
_WHOLE = 1e-6
_GAP = 1e-3  # per row, between the cover and the best possible
_DISTANCE_TO_BEST = 0.05  # from the cost of the relaxed program: tried first
_FURTHER = 3.0
_FAR = 0.4  # from there on any cover will do: only noise is so undecided, and each try takes seconds then
_SOME_ROWS = 48  # from there on it is asked whether anything tells paths apart
_MOST_ALIKE = 0.3  # of the pairs of neighbours: up to 0.22 in families with forks, half of them in noise
_MOST_UNDECIDED = 0.35  # of the rows, by the relaxed program: up to 0.29 in families with forks, up to 0.9 in noise
_SEARCH_NODES = 200  # of the solver; a bound in seconds would make the answer depend on the machine


@dataclass(frozen=True)
class _Choices:
    """What rows may choose: the c-th choice is two neighbours, one (−1 for the other), or none, of row[c]."""

    row: Rows
    first: Rows
    second: Rows
    cost: Floats


def smooth_cover(smoothness: Smoothness, apart: int | None = None) -> list[Rows]:
    """Divide the rows of a family into paths, each of which passes its rows smoothly.

    Every row chooses two neighbours, or one and an end, or none. The choices are made together, a row being chosen by
    those it chooses, at the least total cost: an integer program, which is nearly its own relaxation.

    Where a row lies as well between most pairs of its neighbours as between the best, as in noise, nothing tells paths
    apart, and the program would take minutes and longer.

    A ring is opened nearest the root. A path that turns, as two siblings joined by their last or first rows do, is cut
    at the turn.

    Args:
        smoothness: of a family of at least two rows.
        apart: a row that no path passes; it is one alone.

    Returns:
        The rows of each path, in order up to reversal, every row in exactly one; none where nothing tells them apart.
    """
    near = smoothness.near.copy()
    if apart is not None:
        near[apart] = near[:, apart] = False
    choices = _choices(smoothness, near)
    if len(near) >= _SOME_ROWS and _alike(choices, near) > _MOST_ALIKE:
        return []
    neighbours = _least_cost(choices, len(near))
    if not neighbours:
        return []
    return [part for path in _paths(smoothness, neighbours) for part in _cut_at_turns(smoothness, path)]


def _choices(smoothness: Smoothness, near: NDArray[np.bool_]) -> _Choices:
    """List and price what every row may choose."""
    rows, firsts, seconds, costs = [], [], [], []
    for row, beside in enumerate(map(np.flatnonzero, near)):
        two = smoothness.of_pairs(row, beside)
        one = two.min(axis=1) if len(beside) > 1 else np.zeros(len(beside))
        best = float(one.min()) if len(beside) else 0.0
        first, second = np.nonzero(np.triu(two <= best + _PRUNED_FROM * END, 1))
        alone = np.flatnonzero(one <= best + _PRUNED_FROM * END)
        rows.append(np.full(len(first) + len(alone) + 1, row))
        firsts.append(np.concatenate([beside[first], beside[alone], [-1]]))
        seconds.append(np.concatenate([beside[second], np.full(len(alone) + 1, -1)]))
        # Above 1 each, so that a gap relative to their sum means as much for every family.
        costs.append(np.concatenate([two[first, second], one[alone] + END, [best + 2 * END]]) - best + 1)
    return _Choices(*map(np.concatenate, (rows, firsts, seconds, costs)))


def _alike(choices: _Choices, near: NDArray[np.bool_]) -> float:
    """The share of the pairs of its neighbours that a row lies between nearly as well as between the best: median."""
    pairs = np.bincount(choices.row[choices.second >= 0], minlength=len(near))
    beside = near.sum(axis=1)
    return float(np.median(pairs / np.maximum(beside * (beside - 1) // 2, 1)))


def _least_cost(choices: _Choices, m: int) -> list[list[int]]:
    """Let every row choose, at the least total cost, such that it is chosen by those it chooses; [] if undecided."""
    number = np.tile(np.arange(len(choices.row)), 2)
    chooser, chosen = np.tile(choices.row, 2), np.concatenate([choices.first, choices.second])
    number, chooser, chosen = (values[chosen >= 0] for values in (number, chooser, chosen))
    low, high = np.minimum(chooser, chosen), np.maximum(chooser, chosen)
    _, edge = np.unique(low * m + high, return_inverse=True)
    shape = (int(edge.max(initial=-1)) + 1, len(choices.row))
    mutual = coo_array((np.where(chooser == low, 1.0, -1.0), (edge, number)), shape=shape).tocsr()
    once = coo_array((np.ones(shape[1]), (choices.row, np.arange(shape[1]))), shape=(m, shape[1])).tocsr()
    mutual = vstack([once, mutual]).tocsr()
    equal = np.concatenate([np.ones(m), np.zeros(shape[0])])
    relaxed = linprog(choices.cost, A_eq=mutual, b_eq=equal, method="highs")
    decided = np.zeros(m)
    np.maximum.at(decided, choices.row, relaxed.x)
    if m >= _SOME_ROWS and (decided < 1 - _WHOLE).mean() > _MOST_UNDECIDED:
        return []
    # A choice whose reduced cost exceeds the best cover's distance from the relaxed one cannot be part of it.
    distance = _DISTANCE_TO_BEST
    while True:
        worthwhile = np.flatnonzero(relaxed.lower.marginals <= distance)
        solved = milp(
            choices.cost[worthwhile],
            constraints=LinearConstraint(mutual[:, worthwhile], equal, equal),
            integrality=np.ones(len(worthwhile)),
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": _GAP, "node_limit": _SEARCH_NODES},
        )
        best = solved.x is not None and (distance > _FAR or solved.fun <= relaxed.fun + distance)
        if best or len(worthwhile) == len(choices.row):
            break
        distance *= _FURTHER
    neighbours: list[list[int]] = [[] for _ in range(m)]
    chosen = relaxed.x[worthwhile] if solved.x is None else solved.x
    for choice in worthwhile[chosen > 0.5]:
        pair = (int(choices.first[choice]), int(choices.second[choice]))
        neighbours[choices.row[choice]] = [row for row in pair if row >= 0]
    return neighbours


def _paths(smoothness: Smoothness, neighbours: list[list[int]]) -> list[Rows]:
    """Walk along the neighbours, from ends first; a ring is opened nearest the start, at the longer of two steps."""
    ends = [row for row, beside in enumerate(neighbours) if len(beside) < 2]
    seen: set[int] = set()
    paths = []
    for start in (*ends, *np.argsort(smoothness.progress, kind="stable").tolist()):
        if start in seen:
            continue
        walk = [start]
        seen.add(start)
        while following := [row for row in neighbours[walk[-1]] if row not in seen]:
            here = smoothness.coordinates[walk[-1]]
            walk.append(min(following, key=lambda row: float(np.linalg.norm(smoothness.coordinates[row] - here))))
            seen.add(walk[-1])
        paths.append(np.array(walk))
    return paths


def _cut_at_turns(smoothness: Smoothness, path: Rows) -> list[Rows]:
    """Cut a path where it comes back, or came from elsewhere, at the step that is longest beside its neighbours."""
    gone = smoothness.progress[path]
    ends = gone[[0, -1]]
    far, near = int(gone.argmax()), int(gone.argmin())
    turn = far if gone[far] - ends.max() > ends.min() - gone[near] else near
    turned = np.abs(ends - gone[turn]).min()
    if len(path) < _SHORTEST_TURNING or not 2 <= turn <= len(path) - 3 or turned <= _LEAST_TURN * np.ptp(gone):
        return [path]
    steps = np.linalg.norm(np.diff(smoothness.coordinates[path], axis=0), axis=1)
    beside = np.arange(max(turn - _BESIDE_TURN, 1), min(turn + _BESIDE_TURN, len(steps) - 1))
    step = int(beside[(steps[beside] / np.sqrt(steps[beside - 1] * steps[beside + 1])).argmax()]) + 1
    return [part for half in (path[:step], path[step:]) for part in _cut_at_turns(smoothness, half)]
