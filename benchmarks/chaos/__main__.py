"""Chaos: runs that are killed at random moments have to end equal to undisturbed ones.

python -m benchmarks.chaos --kills N [--seed S]
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ["RAY_AUTH_MODE"] = "disabled"  # before ray is imported
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from benchmarks.chaos.kills import measure_kills
from benchmarks.machine import hardware


def main() -> None:
    """Disturb, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, required=True, help="runs, with one kill each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_kills(options.kills, options.seed, Path(folder))
    print(json.dumps({**figures, "machine": hardware("cpu")}))


if __name__ == "__main__":
    main()
