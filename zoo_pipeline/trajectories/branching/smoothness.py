"""Smoothness: what it costs that a row of a family lies between two others, or at an end beside one."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.branching.drift import Floats, drift_directions
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.ordering import euclidean_distances

Rows = NDArray[np.int64]

# Chosen on development zoos (digits, mnist-10k; SGD, Adam), then frozen. Costs are natural logarithms of distance.
END = 0.3  # what a missing neighbour costs
_TURN = 0.8  # what neighbours cost that both lie on the side of the start, or both away from it
_NEIGHBOURS = 20
_BANDWIDTH_ROWS = 20
_DRIFT_LEFT = 0.2  # of the component along the drift, in the distance of a single neighbour
_LEAST = 1e-12  # relative to the largest squared distance


class Smoothness:
    """Costs within one family of m rows.

    Two neighbours are the better, the less the row lies beside the line through them: ¼ Σ log(‖beside‖² + ‖change‖²)
    over both, with the component of the way to a neighbour perpendicular to the family's local drift
    (`drift_directions`), and how much the ways to both differ along it. Where models train side by side, the nearest
    row is often on another track; a third point on the line tells them apart.
    """

    def __init__(self, coordinates: Floats, root: int) -> None:
        """Measure the family's drift.

        Args:
            coordinates: float64[m, r].
            root: the row where the family probably began.
        """
        self.coordinates = coordinates
        self.progress: Floats = np.linalg.norm(coordinates - coordinates[root], axis=1)
        self._drift = drift_directions(coordinates, self.progress, _BANDWIDTH_ROWS, np.arange(len(coordinates)))
        self._least = _LEAST * float(np.square(self.progress).max(initial=0.0)) or 1.0

    @cached_property
    def _by_distance(self) -> Rows:
        """The nearest other rows of every row, the nearest first, int64[m, at most `_NEIGHBOURS`]."""
        distances = euclidean_distances(self.coordinates)
        np.fill_diagonal(distances, np.inf)
        return np.argsort(distances, axis=1, kind="stable")[:, : min(_NEIGHBOURS, len(distances) - 1)]

    @cached_property
    def near(self) -> NDArray[np.bool_]:
        """Whether one of two rows is among the nearest of the other, bool[m, m]."""
        near = np.zeros((len(self.coordinates), len(self.coordinates)), bool)
        np.put_along_axis(near, self._by_distance, values=True, axis=1)
        return near | near.T

    def of_pairs(self, row: int, beside: Rows) -> Floats:
        """What every pair of some neighbours of a row would cost, float64[n, n]; infinite for one with itself."""
        ways = self.coordinates[beside] - self.coordinates[row]
        along = ways @ self._drift[row].T
        off = np.maximum(np.square(ways).sum(axis=1) - np.square(along).sum(axis=1), 0.0)
        change = np.square(along[:, None] + along[None, :]).sum(axis=2)
        gains = self.progress[beside] - self.progress[row]
        log = np.log(np.maximum(off[:, None] + change, self._least))
        cost: Floats = 0.25 * (log + log.T) + _TURN * (gains[:, None] * gains[None, :] > 0)
        np.fill_diagonal(cost, np.inf)
        return cost

    def of(self, rows: Rows, before: Rows, after: Rows) -> Floats:
        """What it costs that rows lie between two others each, float64[n].

        With −1 for one of the two, the row is an end: as if the other had a mirror image there, without the way along
        the drift but for a fifth, and `END` besides. With −1 for both, the nearest row is taken, and twice `END`.
        """
        ends = (before < 0) | (after < 0)
        alone = ends & (before == after)
        beside = np.where(alone, self._by_distance[rows, 0], np.maximum(before, after))
        one, along_one = self._way(rows, np.where(ends, beside, before))
        other, along_other = self._way(rows, np.where(ends, beside, after))
        change = np.square(along_one + along_other).sum(axis=1)
        change[ends] = _DRIFT_LEFT**2 * np.square(along_one[ends]).sum(axis=1)
        logs = [np.log(np.maximum(off + change, self._least)) for off in (one, other)]
        turns = (self.progress[before] - self.progress[rows]) * (self.progress[after] - self.progress[rows]) > 0
        costs: Floats = 0.25 * (logs[0] + logs[1]) + np.where(ends, END, _TURN * turns)
        return np.where(alone, costs + END, costs)

    def of_rows(self, tree: Tree) -> Floats:
        """What each row of a tree costs, the first of a branch between the one it left and its second, float64[m]."""
        before, after = tree.links(len(self.coordinates))
        return self.of(np.arange(len(before)), before, after)

    def of_tree(self, tree: Tree) -> float:
        """What all rows of a tree cost together."""
        return float(self.of_rows(tree).sum())

    def best_of_rows(self) -> Floats:
        """What each row would cost between the two of its `near` that it lies best between, float64[m]."""
        pairs = (self.of_pairs(row, np.flatnonzero(beside)) for row, beside in enumerate(self.near))
        return np.array([costs.min(initial=np.inf) for costs in pairs])

    def _way(self, rows: Rows, others: Rows) -> tuple[Floats, Floats]:
        """Of the way from each row to another: its squared part beside the drift, float64[n], and that along it."""
        ways = self.coordinates[others] - self.coordinates[rows]
        along = np.einsum("nkr,nr->nk", self._drift[rows], ways)
        return np.maximum(np.square(ways).sum(axis=1) - np.square(along).sum(axis=1), 0.0), along
