"""Parting: how far the paths of a tree go apart, which noise that was sorted into several paths does not."""

from math import log

import numpy as np

from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.tree import Tree

_END = 3  # the last third of a path
_LEAST = 1e-12  # relative to the largest distance: rows that differ in their last bits alone may measure as equal


def parting(tree: Tree, distances: Floats) -> float:
    """Measure how far the branches of a tree end from all they do not lead to, against their own steps.

    Args:
        tree: of m rows.
        distances: float64[m, m] between its rows.

    Returns:
        Mean over branches, by their numbers of rows, of log(distance from a row of the last third to the nearest row
        that is neither on the branch nor on one that left it, on average / the branch's median step); 0 without
        branches. Branches side by side, a step apart, have 0.
    """
    logs, sizes = [], []
    every = np.concatenate([np.asarray(path) for path in tree.paths])
    least = max(_LEAST * float(distances.max(initial=0.0)), float(np.finfo(np.float64).tiny))
    median = float(np.median(np.concatenate([_steps(distances, path) for path in tree.paths])))
    for number, path in enumerate(tree.paths[1:], start=1):
        children = [tree.paths[other] for other, parent in enumerate(tree.parent_path) if parent == number]
        others = np.setdiff1d(every, np.concatenate([path, *children]))
        ends = path[-max(len(path) // _END, 1) :]
        apart = float(distances[ends][:, others].min(axis=1).mean())
        step = float(np.median(_steps(distances, path))) if len(path) > 1 else median
        logs.append(log(max(apart, least) / max(step, least)))
        sizes.append(len(path))
    return float(np.average(logs, weights=sizes)) if logs else 0.0


def _steps(distances: Floats, path: list[int]) -> Floats:
    return distances[path[1:], path[:-1]]
