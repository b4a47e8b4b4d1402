"""Fit what tells a tree of several paths from one path whose noise looks like several; score it on other draws.

ZOO_DATA_DIR=… python -m benchmarks.fit_belief [--draws DIR]

Families that branch are every fork with its parent, and whole families, of the scenarios with forks and of zoos with
forks whose hyperparameters are drawn at random, and artificial walks. Those that do not are single models of the same
and of other scenarios, and of long runs, whole and without their beginnings. A logistic regression over
`measure_belief`, both kinds weighing the same, is fitted to those of which a tree was made that costs less than the
path (most single models never get so far). Development seeds only.

Prints the weights, which stand rounded in `trajectories/branching/belief.py`; for other seeds, of which nothing was
fitted, how many families that branch are believed to by these weights, of all and of those whose tree is exactly right,
and how many single models are taken apart, by scenario; and one JSON line last. Takes a quarter of an hour on two cores
where the draws are kept.
"""

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.belief_examples import (
    LONG_RUNS,
    SINGLES,
    Judged,
    judged_long_run,
    judged_random,
    judged_scenario,
    judged_walks,
)
from benchmarks.draws import files_of_mnist
from benchmarks.fit_forks import RANDOM, SCENARIOS
from zoo_pipeline.trajectories.branching.belief import BELIEVED, WEIGHTS, branching_odds
from zoo_pipeline.trajectories.scenarios import CATALOGUE, DEVELOPMENT_SEEDS

FITTED = DEVELOPMENT_SEEDS[:2]
SCORED = DEVELOPMENT_SEEDS[30:32]  # of which nothing was fitted
FITTED_RANDOM = RANDOM[::3]
SCORED_RANDOM = DEVELOPMENT_SEEDS[560:590]
INVERSE_RIDGE = 10.0


def main() -> None:
    """Fit, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=Path, metavar="DIR", help="keep the scenarios' networks here, and take them")
    asked = parser.parse_args()
    started = time.perf_counter()
    data_dir = files_of_mnist()
    names = [n for n in (*SCENARIOS, *SINGLES) if data_dir is not None or not CATALOGUE[n].needs_files]
    of_scenario = partial(judged_scenario, data_dir=data_dir, folder=asked.draws)
    of_random = partial(judged_random, data_dir=data_dir)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        fitted, scored = (
            [
                *_joined(pool.map(of_scenario, [(name, seed) for name in names for seed in seeds])),
                *_joined(pool.map(of_random, random)),
                *_joined(pool.map(judged_long_run, [(kind, random[0]) for kind in LONG_RUNS])),
                *(one for seed in seeds for one in judged_walks(seed)),
            ]
            for seeds, random in ((FITTED, FITTED_RANDOM), (SCORED, SCORED_RANDOM))
        )
    weights = fit(fitted)
    for name, value in weights.items():
        print(f"{name:16} {value:8.2f}  (frozen: {WEIGHTS[name]:.2f})", flush=True)
    result: dict[str, Any] = {"weights": weights, "examples": len(fitted), "scored": score(scored, weights)}
    for source, values in result["scored"].items():
        print(source, " ".join(f"{key} {value:,}" for key, value in values.items()), flush=True)
    result["seconds"] = round(time.perf_counter() - started)
    result["versions"] = {name: version(name) for name in ("numpy", "scikit-learn", "torch")}
    print(json.dumps(result))


def fit(found: Iterable[Judged]) -> dict[str, float]:
    """Weights of what is measured, and a constant."""
    made = [one for one in found if one.measured and one.measured["gain_per_row"] > 0]
    names = list(made[0].measured)
    table = np.array([[one.measured[name] for name in names] for one in made])
    branches = np.array([one.paths > 1 for one in made])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_RIDGE, class_weight="balanced", max_iter=5000))
    model.fit(table, branches)
    scaler, regression = model[0], model[-1]
    weights = regression.coef_[0] / scaler.scale_
    constant = float(regression.intercept_[0] - weights @ scaler.mean_)
    return dict(zip(names, weights.tolist(), strict=True)) | {"constant": constant}


def score(found: Iterable[Judged], weights: Mapping[str, float]) -> dict[str, Counter[str]]:
    """Count by source: families that branch, how many trees are exact, believed, both; single models, taken apart."""
    result: dict[str, Counter[str]] = {}
    for one in found:
        believed = bool(one.measured) and branching_odds(one.measured, weights) >= BELIEVED
        counted = {"single": 1, "taken_apart": int(believed)}
        if one.paths > 1:
            counted = {"branching": 1, "exact": one.exact, "believed": believed, "both": one.exact and believed}
            counted = {name: int(value) for name, value in counted.items()}
        result.setdefault(one.source, Counter()).update(counted)
    return result


def _joined(lists: Iterable[list[Judged]]) -> list[Judged]:
    return [one for some in lists for one in some]


if __name__ == "__main__":
    main()
