"""Time and memory of separation, ordering and geometry on bags of any size, in both modes, with known truth.

python -m benchmarks.scale --checkpoints N [--mode exact|approximate] [--actors N] [--against scipy] [--data DIR]
python -m benchmarks.scale --checkpoints N --generate DIR

The bag is made from 200 trained trajectories by renumbering hidden units (`benchmarks.renumbered`), its rows shuffled
across Parquet files; making it is not counted. `seconds` is what follows reading in the exact mode, and everything from
opening the files on in the approximate one.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from scipy.stats import kendalltau
from sklearn.metrics import adjusted_rand_score

from benchmarks.machine import hardware
from benchmarks.memory import peak_pss
from benchmarks.renumbered import NETWORK, RenumberedBag, train_real
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.runtime.aggregate import aggregate_actors
from zoo_pipeline.trajectories import Recovery, bag_geometry, recover
from zoo_pipeline.trajectories.approximate import recover_in_shares
from zoo_pipeline.trajectories.exchange import split_weights

EXACT_UP_TO = 20_000
BATCH_ROWS = 2_048
LAYOUT = Layout.of(NETWORK.tensors)


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, required=True)
    parser.add_argument("--mode", choices=["exact", "approximate"], help="by default chosen by size")
    parser.add_argument("--actors", type=int, default=os.cpu_count() or 1, help="processes of the approximate mode")
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
        print(json.dumps(_measured(sorted(folder.glob("*.parquet")), asked)))


def _measured(files: Sequence[Path], asked: argparse.Namespace) -> dict[str, Any]:
    mode = asked.mode or ("exact" if asked.checkpoints <= EXACT_UP_TO else "approximate")
    truth = [pq.read_table(file, columns=["model_id", "epoch"]) for file in files]
    model_id, epoch = (np.concatenate([part[name].to_numpy() for part in truth]) for name in ("model_id", "epoch"))
    with peak_pss() as peak:
        if mode == "exact":
            weights = np.concatenate(list(_rows(files, range(len(files)))))
            started = time.perf_counter()
            recovery = recover(weights, LAYOUT)
            described = time.perf_counter()
            bag_geometry(weights, recovery.trajectory, recovery.position)
            stages = recovery.seconds | {"geometry": time.perf_counter() - described}
            seconds = time.perf_counter() - started
        else:
            started = time.perf_counter()
            with aggregate_actors(asked.actors) as crew:
                recovery, _ = recover_in_shares(partial(_share, files), len(files), LAYOUT, crew=crew)
            stages, seconds = recovery.seconds, time.perf_counter() - started
    result: dict[str, Any] = {
        "checkpoints": len(model_id),
        "dimension": LAYOUT.dimension,
        "mode": mode,
        "seconds": round(seconds, 2),
        "stages": {stage: round(value, 2) for stage, value in stages.items()},
        "peak_pss_bytes": peak.pss_bytes,
        "actors": asked.actors if mode == "approximate" else None,
        "threads": torch.get_num_threads() if mode == "exact" else 1,
        **figures(recovery, model_id, epoch),
        "ratio_scipy": None,
        "versions": {name: version(name) for name in ("numpy", "scipy", "torch", "pyarrow")},
        "hardware": hardware("cpu"),
    }
    if asked.against:
        weights = np.concatenate(list(_rows(files, range(len(files)))))
        result |= _scipy(weights, recovery, seconds)
    return result


def figures(recovery: Recovery, model_id: NDArray[np.integer], epoch: NDArray[np.integer]) -> dict[str, Any]:
    """The recovery against the truth, by scikit-learn and scipy; |τ| is that of a model's rows in one trajectory."""
    taus = []
    order = np.argsort(model_id, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(model_id[order])) + 1):
        numbers, counts = np.unique(recovery.trajectory[rows], return_counts=True)
        inside = rows[recovery.trajectory[rows] == numbers[counts.argmax()]]
        pairs = len(rows) * (len(rows) - 1)
        if pairs:
            found = len(inside) * (len(inside) - 1)
            tau = kendalltau(epoch[inside], recovery.position[inside]).statistic if found else 0.0
            taus.append(abs(tau) * found / pairs)
    return {
        "trajectories_true": len(np.unique(model_id)),
        "trajectories_found": len(recovery.length),
        "ari": float(adjusted_rand_score(model_id, recovery.trajectory)),
        "kendall_tau_mean": float(np.mean(taus)),
        "kendall_tau_min": float(np.min(taus)),
    }


def _scipy(weights: NDArray[np.float32], recovery: Recovery, seconds: float) -> dict[str, Any]:
    """Scipy's way on what we compare, cut where we cut, and how the trajectories agree."""
    split = split_weights(weights, LAYOUT)
    assert split is not None
    rows = split.rows.numpy()
    started = time.perf_counter()
    tree = linkage(pdist(rows, "cosine"), "single")
    taken = time.perf_counter() - started
    labels = fcluster(tree, recovery.cut * (1 + 1e-9), criterion="distance")
    return {
        "seconds_scipy": round(taken, 2),
        "ratio_scipy": round(taken / seconds, 1),
        "ari_with_scipy": float(adjusted_rand_score(labels, recovery.trajectory)),
    }


def _bag(checkpoints: int, kept: Path | None) -> RenumberedBag:
    if kept is not None and kept.exists():
        return RenumberedBag.of(np.load(kept), checkpoints)
    real = train_real()
    if kept is not None:
        np.save(kept, real)
    return RenumberedBag.of(real, checkpoints)


def _share(files: Sequence[Path], number: int) -> Iterator[NDArray[np.float32]]:
    return _rows(files, [number])


def _rows(files: Sequence[Path], numbers: Sequence[int]) -> Iterator[NDArray[np.float32]]:
    """The weights of some files, a batch at a time."""
    for number in numbers:
        with pq.ParquetFile(files[number]) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=["weights"], use_threads=False):
                yield batch["weights"].flatten().to_numpy().reshape(-1, LAYOUT.dimension)


if __name__ == "__main__":
    main()
