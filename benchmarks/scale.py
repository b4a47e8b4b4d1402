"""Time and memory of separation, ordering and geometry on bags of any size, in both modes, with known truth.

python -m benchmarks.scale --checkpoints N [--actors N] [--memory BYTES] [--unwatched] [--against scipy] [--data DIR]
python -m benchmarks.scale --checkpoints N --generate DIR

The bag is made from 200 trained trajectories by renumbering hidden units (`benchmarks.renumbered`), its rows shuffled
across Parquet files; making it is not counted. The product's tables are scored. `seconds` is separation, ordering and
geometry; up to 20,000 rows are read before, more are read again and again in that time. `wall_s` has the product's
scores and the start of Ray, too.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from scipy.stats import kendalltau
from sklearn.metrics import adjusted_rand_score

from benchmarks.machine import hardware
from benchmarks.memory import Peak, peak_pss
from benchmarks.renumbered import RenumberedBag, train_real
from zoo_pipeline.config import Resources
from zoo_pipeline.counts import bytes_of
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.runtime.aggregate import aggregate_actors
from zoo_pipeline.runtime.analysis import analyze_bag
from zoo_pipeline.runtime.session import ray_session
from zoo_pipeline.sources import find_source, read_bags
from zoo_pipeline.store.bag import Bag, gather
from zoo_pipeline.store.shares import HeldShare
from zoo_pipeline.trajectories import mode_of, recover_in_shares
from zoo_pipeline.trajectories.crew import Crew
from zoo_pipeline.trajectories.exchange import split_weights
from zoo_pipeline.trajectories.modes import APPROXIMATE, EXACT

HELD_UP_TO = 20_000  # rows
COUNTED = ("separation", "ordering", "geometry", "sketching", "candidates", "trajectories")


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, required=True)
    parser.add_argument("--actors", type=int, default=os.cpu_count() or 1, help="of the approximate mode")
    parser.add_argument("--memory", default="4GiB", help="for weights in the approximate mode")
    parser.add_argument("--unwatched", action="store_true", help="do not look at memory, which takes some time, too")
    parser.add_argument("--against", choices=["scipy"])
    parser.add_argument("--data", type=Path, help="folder that --generate wrote; by default a temporary one is made")
    parser.add_argument("--generate", type=Path, metavar="DIR", help="write the bag there, and measure nothing")
    parser.add_argument("--real", type=Path, help=".npy file that keeps the trained trajectories for the next time")
    asked = parser.parse_args()
    if asked.generate:
        _bag(asked.checkpoints, asked.real).write(asked.generate)
        print(json.dumps({"checkpoints": asked.checkpoints, "folder": str(asked.generate)}))
        return
    with ExitStack() as stack:
        folder = asked.data
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            _bag(asked.checkpoints, asked.real).write(folder)
        print(json.dumps(_measured(folder, asked)))


def _measured(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    (bag,) = gather(list(read_bags([find_source(str(folder), str(folder))], held=False))).values()
    mode = mode_of(len(bag), bag.layout)
    if len(bag) <= HELD_UP_TO:
        bag = replace(bag, shares=tuple(HeldShare(part) for part in np.array_split(bag.weights, 4 * asked.actors)))
    started = time.perf_counter()
    with nullcontext(Peak()) if asked.unwatched else peak_pss() as peak:
        if mode == EXACT:
            analysis = analyze_bag(bag, {})
        else:
            with ray_session("local", Resources()), aggregate_actors(asked.actors) as crew:
                _warm(crew, bag.layout)
                opened = time.perf_counter() - started
                analysis = analyze_bag(bag, {"opening": opened}, crew, bytes_of(asked.memory))
    wall = time.perf_counter() - started
    stages = analysis.summary["seconds"]
    seconds = sum(value for stage, value in stages.items() if stage in COUNTED)
    recovered = {name: analysis.assignments[name].to_numpy() for name in ("trajectory", "position")}
    result: dict[str, Any] = {
        "checkpoints": len(bag),
        "dimension": bag.dimension,
        "mode": mode,
        "seconds": round(seconds, 2),
        "wall_s": round(wall, 2),
        "stages": stages,
        "peak_pss_bytes": peak.pss_bytes or None,
        "actors": asked.actors if mode == APPROXIMATE else None,
        "threads": torch.get_num_threads() if mode == EXACT else 1,
        **figures(**recovered, model_id=bag.model, epoch=bag.time),
        "ratio_scipy": None,
        "versions": {name: version(name) for name in ("numpy", "scipy", "torch", "pyarrow", "ray")},
        "hardware": hardware("cpu"),
        "load": os.getloadavg(),
    }
    if asked.against:
        result |= _scipy(bag, recovered["trajectory"], analysis.summary["cut"]["height"], seconds)
    return result


def _warm(crew: Crew, layout: Layout | None) -> None:
    """Have every actor start, import and try everything, on a small bag of another kind."""
    assert layout is not None
    steps = np.random.default_rng(0).standard_normal((8, 5, layout.dimension), np.float32)
    walks = np.cumsum(steps, axis=1).reshape(-1, layout.dimension)
    recover_in_shares(partial(_part, np.array_split(walks, 8)), 8, layout, crew=crew)


def _part(parts: list[NDArray[np.float32]], number: int) -> Iterator[NDArray[np.float32]]:
    yield parts[number]


def figures(
    trajectory: NDArray[np.integer],
    position: NDArray[np.integer],
    model_id: NDArray[np.integer],
    epoch: NDArray[np.integer],
) -> dict[str, Any]:
    """What was recovered against the truth, by scikit-learn and scipy; |τ| is of a model's rows in one trajectory."""
    taus = []
    order = np.argsort(model_id, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(model_id[order])) + 1):
        numbers, counts = np.unique(trajectory[rows], return_counts=True)
        inside = rows[trajectory[rows] == numbers[counts.argmax()]]
        pairs = len(rows) * (len(rows) - 1)
        if pairs:
            found = len(inside) * (len(inside) - 1)
            tau = kendalltau(epoch[inside], position[inside]).statistic if found else 0.0
            taus.append(abs(tau) * found / pairs)
    return {
        "trajectories_true": len(np.unique(model_id)),
        "trajectories_found": len(np.unique(trajectory)),
        "ari": float(adjusted_rand_score(model_id, trajectory)),
        "kendall_tau_mean": float(np.mean(taus)),
        "kendall_tau_min": float(np.min(taus)),
    }


def _scipy(bag: Bag, trajectory: NDArray[np.integer], cut: float, seconds: float) -> dict[str, Any]:
    """Scipy's way on what we compare, cut where we cut, and how the trajectories agree."""
    split = split_weights(bag.weights, bag.layout)
    assert split is not None
    rows = split.rows.numpy()
    started = time.perf_counter()
    tree = linkage(pdist(rows, "cosine"), "single")
    taken = time.perf_counter() - started
    labels = fcluster(tree, cut * (1 + 1e-9), criterion="distance")
    return {
        "seconds_scipy": round(taken, 2),
        "ratio_scipy": round(taken / seconds, 1),
        "ari_with_scipy": float(adjusted_rand_score(labels, trajectory)),
    }


def _bag(checkpoints: int, kept: Path | None) -> RenumberedBag:
    if kept is not None and kept.exists():
        return RenumberedBag.of(np.load(kept), checkpoints)
    real = train_real()
    if kept is not None:
        np.save(kept, real)
    return RenumberedBag.of(real, checkpoints)


if __name__ == "__main__":
    main()
