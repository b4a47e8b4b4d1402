"""Forks of true trees, measured as `attachment.py` and `continuation.py` of `trajectories/branching/` measure them."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.branching.attachment import measure_attachment
from zoo_pipeline.trajectories.branching.continuation import measure_continuation
from zoo_pipeline.trajectories.branching.drift import isometric_coordinates
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.scenarios import KnownBag

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Kind = Literal["branch", "rest", "torn"]
_LEAST_TORN = 2  # rows on either side of a tear


@dataclass(frozen=True)
class Fork:
    """A place where a path leaves a row.

    Attributes:
        kind: whether the path is a branch, the rest of its parent, which goes on with a branch, or the later part of
            a torn one.
        features: float64[n] by name, how the path would leave each row that it may have left.
        left: the number among them of the row that it did leave.
        goes_on: float64[2] by name, how the parent goes on at the fork, and how the path would; of branches and rests.
    """

    kind: Kind
    features: Mapping[str, Floats]
    left: int
    goes_on: Mapping[str, Floats]


def forks(bag: KnownBag, seed: int) -> list[Fork]:
    """All forks of a bag, each as it is and exchanged, and of every model's path one tear."""
    generator = np.random.default_rng(seed)
    found = []
    for family in np.unique(bag.family):
        models = np.flatnonzero(bag.family == family)
        rows = np.flatnonzero(np.isin(bag.model_id, models))
        coordinates = isometric_coordinates(bag.weights[rows])
        tree = true_tree(bag, models, rows)
        for number in range(1, len(models)):
            found.append(fork_at(coordinates, tree, number, "branch"))
            other = deepcopy(tree)
            other.exchange_ends(number)
            found.append(fork_at(coordinates, other, number, "rest"))
        for number, path in enumerate(tree.paths):
            if len(path) >= 2 * _LEAST_TORN:
                other = torn(tree, number, int(generator.integers(_LEAST_TORN, len(path) - _LEAST_TORN + 1)))
                found.append(fork_at(coordinates, other, len(models), "torn"))
    return found


def true_tree(bag: KnownBag, models: Rows, rows: Rows) -> Tree:
    """The models of a family, by the numbers of its rows."""
    tree = Tree([], [], [])
    for model in models.tolist():
        own = np.flatnonzero(bag.model_id == model)
        parent = int(bag.parent_model[model])
        left = np.flatnonzero((bag.model_id == parent) & (bag.epoch == bag.parent_epoch[model]))
        tree.paths.append(np.searchsorted(rows, own[np.argsort(bag.epoch[own], kind="stable")]).tolist())
        tree.parent_path.append(-1 if parent < 0 else int(np.flatnonzero(models == parent)[0]))
        tree.parent_row.append(-1 if parent < 0 else int(np.searchsorted(rows, left[0])))
    return tree


def torn(tree: Tree, number: int, place: int) -> Tree:
    """The tree with the rows of a path from a place on as its last path, which leaves the row before them."""
    path = tree.paths[number]
    other = deepcopy(tree)
    other.paths[number] = path[:place]
    other.parent_path = [
        len(tree.paths) if row in path[place:] else parent
        for parent, row in zip(tree.parent_path, tree.parent_row, strict=True)
    ]
    other.paths.append(path[place:])
    other.parent_path.append(number)
    other.parent_row.append(path[place - 1])
    return other


def fork_at(coordinates: Floats, tree: Tree, number: int, kind: Kind) -> Fork:
    """Measure one branch of a tree."""
    branch, left = tree.paths[number], tree.parent_row[number]
    later = {row for one in tree.descent(number) for row in tree.paths[one]}
    head = coordinates[branch[:2]]
    columns: dict[str, list[Floats]] = {}
    rows: list[int] = []
    for one, path in enumerate(tree.paths):
        if later.isdisjoint(path):
            rows += path
            for name, values in measure_attachment(coordinates[tree.line(one)], head[:1], head[1:]).items():
                columns.setdefault(name, []).append(values[0, -len(path) :])
    features = {name: np.concatenate(values) for name, values in columns.items()}
    if kind == "torn":
        return Fork(kind, features, rows.index(left), {})
    line = tree.line(tree.parent_path[number])
    place = line.index(left)
    before, after = coordinates[line[: place + 1]], coordinates[line[place + 1 :]]
    own, others = measure_continuation(before, after), measure_continuation(before, head)
    return Fork(kind, features, rows.index(left), {name: np.array([own[name], others[name]]) for name in own})
