"""How well trajectories are recovered, blind, scenario by scenario, beside the paper's rule and textbook clustering.

python -m benchmarks.recovery [--scenario NAME ...] [--repeats 10] [--strangers 10000] [--development] [--draws DIR]
                                   [--no-layout]

Every scenario of `zoo_pipeline.trajectories.scenarios` (or those of the names or kinds given) is drawn with fresh
seeds, analysed by the product, and scored here, by scikit-learn and scipy, from the tables that the product writes. The
seeds are the first of `BENCHMARK_SEEDS`, which nothing was chosen or fitted on; `--development` takes those of
`DEVELOPMENT_SEEDS` instead, for work on the method. MNIST's files are read from `$ZOO_DATA_DIR/mnist/`; where that is
not set, the scenarios that need them are left out, and the line says so. `--draws` names a folder where draws are kept,
and from where they are read the next time. With `--no-layout` the product is not told which weight is of which tensor.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from benchmarks.draws import draw, files_of_mnist, number_of_draws
from benchmarks.machine import hardware
from benchmarks.opponents.clustering import OPPONENTS, cluster
from benchmarks.recovered import Recovered, Truth, directions, figures, joined
from zoo_pipeline.runtime.analysis import analyze_bag
from zoo_pipeline.store.analyses import Analysis
from zoo_pipeline.store.bag import Bag
from zoo_pipeline.store.shares import HeldShare
from zoo_pipeline.trajectories.scenarios import (
    BENCHMARK_SEEDS,
    CATALOGUE,
    DEVELOPMENT_SEEDS,
    KnownBag,
    kinds,
    names,
)

LESS_IS_BETTER = ("direction_undecided", "false_joins")
HEADINGS = {
    "ari": "ARI",
    "exact_trajectories": "exact",
    "kendall_tau_min": "least |τ|",
    "direction_accuracy": "direction",
    "direction_undecided": "undecided",
    "direction_right_of_decided": "right if decided",
    "false_joins": "false joins",
    "parent_right": "parent",
    "fork_exact": "fork",
    "fork_within_one": "fork ± 1",
    "edge_f1": "edge F1",
    "root_found": "root",
}
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)  # edges of the calibration curve's bins

Figures = Mapping[str, float | None]


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", nargs="+", default=names(), metavar="NAME", help="scenarios, or kinds of them")
    parser.add_argument("--repeats", type=number_of_draws, default=10, metavar="N", help="draws of each scenario")
    parser.add_argument("--strangers", type=int, default=10_000, help="networks of the negative control")
    parser.add_argument("--development", action="store_true", help="seeds for development, not for publication")
    parser.add_argument("--draws", type=Path, metavar="DIR", help="keep the networks here, and take them from here")
    parser.add_argument("--no-layout", action="store_true", help="do not tell the product the layout")
    asked = parser.parse_args()
    seeds = (DEVELOPMENT_SEEDS if asked.development else BENCHMARK_SEEDS)[: asked.repeats]
    data_dir = files_of_mnist()
    chosen = _chosen(parser, asked.scenario)
    left_out = [name for name in chosen if CATALOGUE[name].needs_files and data_dir is None]
    results = {
        name: measure(
            name,
            seeds,
            asked.strangers if name == "strangers" else None,
            data_dir,
            asked.draws,
            with_layout=not asked.no_layout,
        )
        for name in chosen
        if name not in left_out
    }
    print(
        json.dumps(
            {
                "seeds": [seeds.start, seeds.stop],
                "layout": not asked.no_layout,
                "scenarios": results,
                "left_out": left_out,
                "machine": hardware("cpu") | {"threads": torch.get_num_threads()},
                "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "torch")},
            }
        )
    )


def measure(
    name: str,
    seeds: Sequence[int],
    starts: int | None,
    data_dir: Path | None,
    draws: Path | None,
    *,
    with_layout: bool = True,
) -> dict[str, Any]:
    """Draw a scenario with each seed, have all sides recover it, and print and return what that is worth."""
    scores: dict[str, list[Figures]] = {side: [] for side in ("ours", *OPPONENTS)}
    verdicts: list[tuple[float, bool, bool]] = []
    seconds = []
    for seed in seeds:
        scenario = draw(name, seed, starts, data_dir, draws)
        truth = Truth.of(scenario.bags)
        started = time.perf_counter()
        ours = joined([read(analyzed(bag, with_layout=with_layout)) for bag in scenario.bags])
        seconds.append(round(time.perf_counter() - started, 2))
        scores["ours"].append(figures(truth, ours))
        verdicts += directions(truth, ours)
        clustered = [cluster(bag.weights, len(np.unique(bag.model_id))) for bag in scenario.bags]
        for opponent in OPPONENTS:
            scores[opponent].append(figures(truth, joined([answers[opponent] for answers in clustered])))
    summary = {side: summarised(rows) for side, rows in scores.items()}
    _say(name, len(truth.epoch), summary)
    return {
        "kind": scenario.kind,
        "checkpoints": len(truth.epoch),
        "models": len(truth.family),
        "identifiable": int(truth.identifiable.sum()),
        "dimensions": [bag.weights.shape[1] for bag in scenario.bags],
        "seconds": seconds,
        "ours": summary.pop("ours"),
        "opponents": summary,
        "calibration": calibration(verdicts),
    }


def analyzed(bag: KnownBag, *, with_layout: bool = True) -> Analysis:
    """The product's analysis of a bag's weights; the one place where it is called."""
    keys = pa.table(
        {
            "run": pa.array(["bag"] * len(bag.epoch)).dictionary_encode(),
            "model_id": bag.model_id.astype(np.int64),
            "epoch": bag.epoch.astype(np.int64),
        }
    )
    unknown = np.full(len(bag.epoch), -1)
    shares = (HeldShare(bag.weights),)
    layout = bag.layout if with_layout else None
    return analyze_bag(Bag(shares, bag.weights.shape[1], layout, keys, unknown, pa.table({}), "bag"), {})


def read(analysis: Analysis) -> Recovered:
    """An answer from the tables of docs/format.md, whose rows are those of the bag."""
    assignments, trajectories = analysis.assignments, analysis.trajectories
    trajectory = assignments["trajectory"].to_numpy().astype(np.int64)
    position = assignments["position"].to_numpy().astype(np.int64)
    return Recovered(
        trajectory=trajectory,
        position=position,
        decided=np.array([direction != "undecided" for direction in trajectories["direction"].to_pylist()]),
        confidence=trajectories["direction_confidence"].to_numpy().astype(np.float64),
        parent_row=_parent_rows(trajectories, trajectory, position),
    )


def summarised(rows: Sequence[Figures]) -> dict[str, dict[str, float] | None]:
    """Mean and worst of every figure over the draws; None where no draw defines it."""
    summary: dict[str, dict[str, float] | None] = {}
    for figure in rows[0]:
        values = [value for row in rows if (value := row[figure]) is not None]
        worst = max if figure in LESS_IS_BETTER else min
        summary[figure] = (
            {"mean": round(float(np.mean(values)), 6), "worst": round(worst(values), 6)} if values else None
        )
    return summary


def calibration(verdicts: Sequence[tuple[float, bool, bool]]) -> list[dict[str, float]]:
    """How often a direction is right, by how confident it is: one entry per bin that is not empty."""
    confidence = np.array([verdict[0] for verdict in verdicts])
    right = np.array([verdict[2] for verdict in verdicts], bool)
    number = np.clip(np.searchsorted(CONFIDENCES, confidence, side="right") - 1, 0, len(CONFIDENCES) - 2)
    return [
        {
            "trajectories": int((number == one).sum()),
            "confidence": round(float(confidence[number == one].mean()), 4),
            "right": round(float(right[number == one].mean()), 4),
        }
        for one in np.unique(number)
    ]


def _parent_rows(
    trajectories: pa.Table, trajectory: NDArray[np.int64], position: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The row that each trajectory branches from, by the columns `parent_trajectory` and `parent_position`."""
    rows = np.full(len(trajectories), -1)
    if "parent_trajectory" not in trajectories.column_names:
        return rows
    row_at = {place: row for row, place in enumerate(zip(trajectory.tolist(), position.tolist(), strict=True))}
    parents = trajectories["parent_trajectory"].to_pylist(), trajectories["parent_position"].to_pylist()
    for number, place in enumerate(zip(*parents, strict=True)):
        rows[number] = row_at.get(place, -1)
    return rows


def _chosen(parser: argparse.ArgumentParser, asked: Sequence[str]) -> list[str]:
    for name in asked:
        if name not in (*kinds(), *CATALOGUE):
            parser.error(f"--scenario: got {name}, expected any of {', '.join((*kinds(), *CATALOGUE))}")
    return [name for name, entry in CATALOGUE.items() if name in asked or entry.kind in asked]


def _say(name: str, checkpoints: int, summary: Mapping[str, Mapping[str, Mapping[str, float] | None]]) -> None:
    """Print a scenario's part of the table: mean (worst) of every figure that it defines."""
    columns = [figure for figure, value in summary["ours"].items() if value is not None]
    print(f"\n{name}, {checkpoints:,} checkpoints: mean (worst)")
    print(" ".join([" " * 8, *(f"{HEADINGS[figure]:>17}" for figure in columns)]))
    for side, figures_of in summary.items():
        print(" ".join([f"{side:8}", *(f"{_shown(figures_of[figure]):>17}" for figure in columns)]), flush=True)


def _shown(value: Mapping[str, float] | None) -> str:
    return "–" if value is None else f"{value['mean']:.4f} ({value['worst']:.4f})"


if __name__ == "__main__":
    main()
