"""Belief: whether a family is a tree of several paths, or one path whose noise looks like several."""

from collections.abc import Mapping
from math import log

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.parting import parting
from zoo_pipeline.trajectories.branching.smoothness import Smoothness
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.direction_cues import LEAST_CHECKPOINTS

BELIEVED = 0.0  # log-odds from which a tree is believed: as likely as a single path

# A logistic regression, fitted to development zoos by `python -m benchmarks.fit_belief`, rounded and frozen.
WEIGHTS: Mapping[str, float] = {
    "apart": 2.6,
    "gain_per_row": 6.4,
    "gain_per_branch": 1.4,
    "jump": 4.7,
    "strain_left": -44.0,
    "return": -5.3,
    "constant": -4.4,
}
_BOUNDS = {
    "apart": (-0.3, 2.0),
    "gain_per_row": (0.0, 0.8),
    "gain_per_branch": (log(0.5), np.inf),
    "jump": (0.0, 1.2),
    "strain_left": (-0.3, 0.6),
    "return": (0.0, 1.0),
}


def measure_belief(
    tree: Tree, order: NDArray[np.integer], distances: Floats, smoothness: Smoothness
) -> dict[str, float]:
    """Measure a tree of a family against the single path through it.

    Noise gains, too, when its rows are sorted into several paths, but then these do not go apart, and come back to
    where they began; and a path through the rows of several that do go apart has to jump somewhere from the end of one
    into another. In noise, a row would be better off elsewhere than on the path, but so it would be on any other, so
    that a tree relieves little of this strain.

    Args:
        tree: of m rows, of two paths at least.
        order: int[m], the single path through them.
        distances: float64[m, m] between them.
        smoothness: of the family.

    Returns:
        `apart`: how far its paths go apart (`parting`). `gain_per_row` and `gain_per_branch`: what the path costs more
        than the tree; of the latter the natural logarithm. `jump`: how much longer a step of the path is than both
        beside it, at most, as a natural logarithm. `strain_left`: what a row of the path costs more than between the
        two neighbours that it lies best between, on average, less what the tree gains per row. `return`: how much of
        its way from the row that it left a branch comes back, at most. All within bounds; where the path costs no more
        than the tree, `gain_per_row` is 0.
    """
    costs = smoothness.of_rows(Tree([order.tolist()], [-1], [-1]))
    gain = float(costs.sum()) - smoothness.of_tree(tree)
    strain = (costs - smoothness.best_of_rows())[order[1:-1]]
    measured = {
        "apart": parting(tree, distances),
        "gain_per_row": gain / len(order),
        "gain_per_branch": log(max(gain / (len(tree.paths) - 1), 0.5)),
        "jump": _largest_jump(distances[order[1:], order[:-1]]),
        "strain_left": (float(strain.mean()) if len(strain) else 0.0) - gain / len(order),
        "return": max(
            _come_back(distances[left, path]) for left, path in zip(tree.parent_row[1:], tree.paths[1:], strict=True)
        ),
    }
    return {name: min(max(value, _BOUNDS[name][0]), _BOUNDS[name][1]) for name, value in measured.items()}


def branching_odds(measured: Mapping[str, float], weights: Mapping[str, float] = WEIGHTS) -> float:
    """Weigh what was measured of a tree.

    Returns:
        Log-odds that the family branches; −∞ where the path costs no more than the tree.
    """
    if measured["gain_per_row"] <= 0:
        return -np.inf
    return weights["constant"] + sum(weights[name] * value for name, value in measured.items())


def goes_two_ways(tree: Tree) -> bool:
    """Whether somewhere in a tree two ways on from one row are both long enough to have a direction.

    Noise at an end of a single run looks like ways of one row or two.
    """
    depth = tree.depth()
    before, _ = tree.links(len(depth))
    longest, second = np.zeros((2, len(depth)), np.int64)  # rows of the ways on from each row
    for row in np.argsort(-depth, kind="stable").tolist():
        way, up = longest[row] + 1, before[row]
        if up >= 0:
            second[up] = max(second[up], min(way, longest[up]))
            longest[up] = max(longest[up], way)
    return bool(second.max() >= LEAST_CHECKPOINTS)


def _largest_jump(steps: Floats) -> float:
    """How much longer a step is than both beside it, at most, as a natural logarithm; not the first nor the last."""
    if len(steps) < 3:
        return 0.0
    beside = np.maximum(steps[:-2], steps[2:])
    some = beside > 0
    return float(np.log(np.maximum(steps[1:-1][some] / beside[some], np.finfo(np.float64).tiny)).max(initial=0.0))


def _come_back(away: Floats) -> float:
    """How much of the way of a path its last row is nearer than the farthest, of distances from where it began."""
    farthest = float(away.max())
    return 1 - float(away[-1]) / farthest if farthest > 0 else 0.0
