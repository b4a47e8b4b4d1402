"""Time and memory of the in-memory analysis, on synthetic trajectories with known truth.

python -m benchmarks.analysis [--trajectories 250] [--checkpoints 50] [--dimension 2464] [--against scipy]
"""

import argparse
import json
import resource
import time
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.metrics import adjusted_rand_score

from zoo_pipeline.trajectories import bag_geometry, recover, score


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trajectories", type=int, default=250)
    parser.add_argument("--checkpoints", type=int, default=50, help="per trajectory")
    parser.add_argument("--dimension", type=int, default=2_464)
    parser.add_argument("--against", choices=["scipy"])
    asked = parser.parse_args()
    weights, model_id, epoch = walks(asked.trajectories, asked.checkpoints, asked.dimension)
    before = _peak_rss_bytes()

    started = time.perf_counter()
    recovery = recover(weights)
    bag_geometry(weights, recovery.trajectory, recovery.position)
    seconds = time.perf_counter() - started
    scores = vars(score(recovery, weights, model_id, epoch))
    result: dict[str, Any] = {
        "checkpoints": len(weights),
        "dimension": weights.shape[1],
        "seconds": round(seconds, 2),
        "stages": {stage: round(value, 2) for stage, value in recovery.seconds.items()},
        "peak_rss_bytes": _peak_rss_bytes(),
        "peak_rss_bytes_before": before,
        "threads": torch.get_num_threads(),
        **{key: scores[key] for key in ("trajectories_found", "ari", "kendall_tau_min", "direction_accuracy")},
        "ratio_scipy": None,
        "versions": {name: version(name) for name in ("numpy", "scipy", "torch")},
    }
    if asked.against:
        started = time.perf_counter()
        tree = linkage(pdist(weights, "cosine"), "single")
        result["seconds_scipy"] = round(time.perf_counter() - started, 2)
        result["ratio_scipy"] = round(result["seconds_scipy"] / seconds, 2)
        result["ari_scipy"] = adjusted_rand_score(model_id, fcluster(tree, recovery.cut, criterion="distance"))
    print(json.dumps(result))


def walks(trajectories: int, checkpoints: int, dimension: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Random starts and smooth walks with shrinking steps, rows shuffled: weights, model_id, epoch."""
    generator = np.random.default_rng(0)
    weights = np.empty((trajectories, checkpoints, dimension), dtype=np.float32)
    for path in weights:
        step = generator.normal(size=dimension) * 0.2
        path[0] = generator.normal(size=dimension)
        for epoch in range(1, checkpoints):
            path[epoch] = path[epoch - 1] + step + 0.02 * path[epoch - 1] / epoch
            step = 0.9 * step + 0.03 * generator.normal(size=dimension) / epoch
    order = generator.permutation(trajectories * checkpoints)
    return weights.reshape(-1, dimension)[order], order // checkpoints, order % checkpoints


def _peak_rss_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
