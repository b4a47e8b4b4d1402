"""Fit what tells where a branch left its parent and which of the two went on there; score it on other draws.

ZOO_DATA_DIR=… python -m benchmarks.fit_forks [--draws DIR]

Draws the scenarios with forks with development seeds. At every fork of a true tree, and of the same tree with branch
and rest of the parent exchanged, a softmax over all rows of the family that do not come after the branch is fitted to
the row it left, and a logistic regression to who went on. Prints the tables that stand in `attachment.py` and
`continuation.py` of `trajectories/branching/`; how often each names the right one on other seeds, beside the nearest
row; the same when fitted to the other scenarios only; and one JSON line last.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.draws import draw
from zoo_pipeline.trajectories.branching.attachment import measure_attachment, weighted
from zoo_pipeline.trajectories.branching.continuation import measure_continuation
from zoo_pipeline.trajectories.branching.drift import isometric_coordinates
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.scenarios import CATALOGUE, DEVELOPMENT_SEEDS, KnownBag

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Tables = tuple[dict[str, float], dict[str, float], dict[str, float]]

SCENARIOS = ("forks-sgd", "forks-adam", "forks-other-seed", "fine-tunes", "forks-of-forks", "forks-mnist")
FITTED = DEVELOPMENT_SEEDS[10:14]
SCORED = DEVELOPMENT_SEEDS[:3]
RIDGE = 3e-3


@dataclass(frozen=True)
class Fork:
    """A place where two paths leave one row.

    Attributes:
        features: float64[n] by name, how the branch would leave each row that it may have left.
        left: the number among them of the row that it did leave.
        exchanged: whether the branch is really the rest of the parent.
        goes_on: by name, how the parent goes on at the fork, less how the branch would.
    """

    features: Mapping[str, Floats]
    left: int
    exchanged: bool
    goes_on: Mapping[str, float]


def main() -> None:
    """Fit, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=Path, metavar="DIR", help="keep the networks here, and take them from here")
    folder = parser.parse_args().draws
    started = time.perf_counter()
    data_dir = Path(os.environ["ZOO_DATA_DIR"]) if os.environ.get("ZOO_DATA_DIR") else None
    names = [name for name in SCENARIOS if data_dir is not None or not CATALOGUE[name].needs_files]
    fitted, scored = (
        {
            name: [
                fork for seed in seeds for bag in draw(name, seed, None, data_dir, folder).bags for fork in forks(bag)
            ]
            for name in names
        }
        for seeds in (FITTED, SCORED)
    )
    tables = fit([fork for name in names for fork in fitted[name]])
    for name, table in zip(("OF_A_BRANCH", "OF_THE_REST", "WEIGHTS"), tables, strict=True):
        print(f"{name} = {{")
        for feature, weight in table.items():
            print(f'    "{feature}": {weight},')
        print("}")
    heading = ("forks", "nearest", "branch", "unseen", "rest", "unseen", "goes on", "unseen")
    print("\n" + " " * 18 + "".join(f"{word:>9}" for word in heading))
    result: dict[str, Any] = {}
    for name in names:
        unseen = fit([fork for other in names if other != name for fork in fitted[other]])
        result[name] = found = score(scored[name], tables, unseen)
        print(name.ljust(18) + "".join(f"{value:9.3f}" for value in found.values()), flush=True)
    result["left_out"] = sorted({*SCENARIOS} - {*names})
    result["seconds"] = round(time.perf_counter() - started)
    result["versions"] = {name: version(name) for name in ("numpy", "scikit-learn", "torch")}
    print(json.dumps({"tables": tables} | result))


def forks(bag: KnownBag) -> list[Fork]:
    """All forks of a bag, each as it is and exchanged."""
    found = []
    for family in np.unique(bag.family):
        models = np.flatnonzero(bag.family == family)
        rows = np.flatnonzero(np.isin(bag.model_id, models))
        coordinates = isometric_coordinates(bag.weights[rows])
        tree = true_tree(bag, models, rows)
        for number in range(1, len(models)):
            other = deepcopy(tree)
            other.exchange_ends(number)
            found += [
                fork_at(coordinates, tree, number, exchanged=False),
                fork_at(coordinates, other, number, exchanged=True),
            ]
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


def fork_at(coordinates: Floats, tree: Tree, number: int, *, exchanged: bool) -> Fork:
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
    line = tree.line(tree.parent_path[number])
    place = line.index(left)
    before, after = coordinates[line[: place + 1]], coordinates[line[place + 1 :]]
    own, others = measure_continuation(before, after), measure_continuation(before, head)
    features = {name: np.concatenate(values) for name, values in columns.items()}
    return Fork(features, rows.index(left), exchanged, {name: own[name] - others[name] for name in own})


def fit(found: Sequence[Fork]) -> Tables:
    """Fit the three tables."""
    branches, rests = ([fork for fork in found if fork.exchanged == exchanged] for exchanged in (False, True))
    return fit_rows(branches), fit_rows(rests), fit_goes_on(branches)


def fit_rows(found: Sequence[Fork]) -> dict[str, float]:
    """Fit a softmax over rows by maximum likelihood, with a ridge on standardised features."""
    names = list(found[0].features)
    tables = [np.stack([fork.features[name] for name in names], axis=1) for fork in found]
    mean, scale = (of(np.concatenate(tables), axis=0) for of in (np.mean, np.std))
    longest = max(len(table) for table in tables)
    features = torch.zeros(len(found), longest, len(names), dtype=torch.float64)
    absent = torch.full((len(found), longest), -torch.inf, dtype=torch.float64)
    for number, table in enumerate(tables):
        features[number, : len(table)] = torch.from_numpy((table - mean) / scale)
        absent[number, : len(table)] = 0
    left = torch.tensor([fork.left for fork in found])
    weights = torch.zeros(len(names), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([weights], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        total = torch.nn.functional.cross_entropy(features @ weights + absent, left)
        total = total + RIDGE * weights.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    search.step(loss)  # type: ignore[no-untyped-call]
    return _rounded(names, weights.detach().numpy() / scale)


def fit_goes_on(found: Sequence[Fork]) -> dict[str, float]:
    """Fit a logistic regression on the differences and their opposites, so that p(exchanged) = 1 − p."""
    names = list(found[0].goes_on)
    features = np.array([list(fork.goes_on.values()) for fork in found])
    scaled = features / features.std(axis=0)
    regression = LogisticRegression(fit_intercept=False, max_iter=10_000)
    regression.fit(np.vstack([scaled, -scaled]), np.repeat([True, False], len(scaled)))
    return _rounded(names, regression.coef_[0] / features.std(axis=0))


def _rounded(names: Sequence[str], weights: Floats) -> dict[str, float]:
    return {name: float(f"{weight:.4g}") for name, weight in zip(names, weights, strict=True)}


def score(found: Sequence[Fork], tables: Tables, unseen: Tables) -> dict[str, float]:
    """Fractions of forks that are right: by the nearest row, and by both sets of tables."""
    branches, rests = ([fork for fork in found if fork.exchanged == exchanged] for exchanged in (False, True))
    return {
        "forks": len(branches),
        "nearest": _rows_right(branches, {"way": -1.0}),
        "branch": _rows_right(branches, tables[0]),
        "branch_unseen": _rows_right(branches, unseen[0]),
        "rest": _rows_right(rests, tables[1]),
        "rest_unseen": _rows_right(rests, unseen[1]),
        "goes_on": _goes_on_right(branches, tables[2]),
        "goes_on_unseen": _goes_on_right(branches, unseen[2]),
    }


def _rows_right(found: Sequence[Fork], weights: Mapping[str, float]) -> float:
    return float(np.mean([int(weighted(fork.features, weights).argmax()) == fork.left for fork in found]))


def _goes_on_right(found: Sequence[Fork], weights: Mapping[str, float]) -> float:
    return float(np.mean([sum(weights[name] * value for name, value in fork.goes_on.items()) > 0 for fork in found]))


if __name__ == "__main__":
    main()
