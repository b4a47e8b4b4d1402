"""What a cluster asks of the driver and of Ray, on this machine.

python -m benchmarks.cluster --node-loss [--seed S]
python -m benchmarks.cluster --simulate SECONDS [--workers N]
python -m benchmarks.cluster --large-dataset
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ["RAY_AUTH_MODE"] = "disabled"  # before ray is imported
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["PYTHONPATH"] = str(Path.cwd())  # workers import this package, too

from benchmarks.cluster.large_dataset import measure_large_dataset
from benchmarks.cluster.node_loss import measure_node_loss
from benchmarks.cluster.simulation import measure_scheduling
from benchmarks.machine import hardware


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--node-loss", action="store_true", help="a zoo of 5,120 models on four nodes, one of which dies")
    what.add_argument("--simulate", type=float, metavar="SECONDS", help="all published zoos, in about so long")
    what.add_argument("--large-dataset", action="store_true", help="what a dataset of 1.26 GiB takes of the driver")
    parser.add_argument("--workers", type=int, default=100, help="of the simulation")
    parser.add_argument("--seed", type=int, default=0, help="of which node dies")
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if given.node_loss:
            figures = measure_node_loss(given.seed, Path(folder))
        elif given.large_dataset:
            figures = measure_large_dataset(Path(folder))
        else:
            figures = measure_scheduling(given.workers, given.simulate, Path(folder))
    print(json.dumps({**figures, "wall_s": round(time.perf_counter() - started, 1), "machine": hardware("cpu")}))


if __name__ == "__main__":
    main()
