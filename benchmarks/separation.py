"""What a run's separation is worth: ours against the textbook ways, which are given the number of trajectories.

python -m benchmarks.separation RUN
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist
from sklearn.metrics import adjusted_rand_score

from zoo_pipeline.trajectories import recover, score
from zoo_pipeline.zoo import Zoo

Labels = NDArray[np.int32]


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run directory")
    zoo = Zoo(parser.parse_args().run)
    checkpoints, weights = zoo.checkpoints(), zoo.weights()
    model_id, epoch = checkpoints["model_id"].to_numpy(), checkpoints["epoch"].to_numpy()

    started = time.perf_counter()
    recovery = recover(weights, zoo.layout)
    ours = {"seconds": round(time.perf_counter() - started, 2), **_plain(score(recovery, weights, model_id, epoch))}
    given = len(np.unique(model_id))
    result: dict[str, Any] = {
        "zoo": zoo.spec["name"],
        "checkpoints": len(weights),
        "dimension": weights.shape[1],
        "ours": ours,
        "opponents": {
            name: _measure(way, weights, model_id)
            for name, way in {
                "single linkage, Euclidean, number given": lambda w: _scipy(w, "single", "euclidean", given),
                "single linkage, cosine, number given": lambda w: _scipy(w, "single", "cosine", given),
                "average linkage, Euclidean, number given": lambda w: _scipy(w, "average", "euclidean", given),
                "Ward, number given": lambda w: _scipy(w, "ward", "euclidean", given),
                "single linkage, Euclidean, largest gap": _largest_gap,
            }.items()
        },
        "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "torch")},
        "machine": platform.machine(),
    }
    print(json.dumps(result))


def _plain(scores: Any) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in vars(scores).items()}


def _measure(
    way: Callable[[NDArray[np.float32]], Labels], weights: NDArray[np.float32], truth: Labels
) -> dict[str, Any]:
    started = time.perf_counter()
    labels = way(weights)
    seconds = time.perf_counter() - started
    found = len(np.unique(labels))
    return {"ari": round(adjusted_rand_score(truth, labels), 4), "found": found, "seconds": round(seconds, 2)}


def _scipy(weights: NDArray[np.float32], method: str, metric: str, number: int) -> Labels:
    tree = linkage(pdist(weights, metric), method)
    return np.asarray(fcluster(tree, number, criterion="maxclust"))


def _largest_gap(weights: NDArray[np.float32]) -> Labels:
    tree = linkage(pdist(weights), "single")
    heights = np.concatenate([[0.0], tree[:, 2]])
    widest = int(np.diff(heights).argmax())
    return np.asarray(fcluster(tree, (heights[widest] + heights[widest + 1]) / 2, criterion="distance"))


if __name__ == "__main__":
    main()
