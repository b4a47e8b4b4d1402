"""Belief: whether a family is a tree of several paths, or one path whose noise looks like several."""

from math import log

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.parting import parting
from zoo_pipeline.trajectories.branching.tree import Tree

BELIEVED = 1.5  # log-odds from which a tree is believed; 0 where both are equally likely

# A logistic regression, both kinds weighing the same, on families that do branch (a parent with one fork, and with all
# of its forks, in the development draws of the scenarios with forks and in zoos drawn at random; artificial walks) and
# on stretches of single runs that a tree fits better than a path (noisy ends, plateaus, runs of 400 epochs). At 1.5
# none of these 175 stretches was taken apart. Then rounded, and frozen.
_PARTING, _GAIN_PER_ROW, _GAIN_PER_BRANCH, _JUMP, _CONSTANT = 4.1, 6.2, 2.0, 9.2, -11.1
_PARTING_FROM, _PARTING_TO = -0.3, 2.0
_MOST_GAIN_PER_ROW = 0.8
_LEAST_GAIN_PER_BRANCH = 0.5
_LARGEST_JUMP = 1.2  # natural logarithm


def branching_odds(tree: Tree, order: NDArray[np.integer], distances: Floats, gain: float) -> float:
    """Weigh a tree against a single path.

    Noise gains, too, when its rows are sorted into several paths, but then these do not go apart; and a path through
    the rows of several that do go apart has to jump somewhere from the end of one into another.

    Args:
        tree: of m rows.
        order: int[m], the shortest path through them.
        distances: float64[m, m] between them.
        gain: of the tree over the path, in the costs of `Smoothness`.

    Returns:
        Log-odds that the family branches; −∞ where the path costs no more than the tree.
    """
    branches = len(tree.paths) - 1
    if not branches or gain <= 0:
        return -np.inf
    apart = min(max(parting(tree, distances), _PARTING_FROM), _PARTING_TO)
    return (
        _PARTING * apart
        + _GAIN_PER_ROW * min(gain / len(order), _MOST_GAIN_PER_ROW)
        + _GAIN_PER_BRANCH * log(max(gain / branches, _LEAST_GAIN_PER_BRANCH))
        + _JUMP * min(_largest_jump(distances[order[1:], order[:-1]]), _LARGEST_JUMP)
        + _CONSTANT
    )


def _largest_jump(steps: Floats) -> float:
    """How much longer a step is than both beside it, at most, as a natural logarithm; not the first nor the last."""
    if len(steps) < 3:
        return 0.0
    beside = np.maximum(steps[:-2], steps[2:])
    some = beside > 0
    return float(np.log(np.maximum(steps[1:-1][some] / beside[some], np.finfo(np.float64).tiny)).max(initial=0.0))
