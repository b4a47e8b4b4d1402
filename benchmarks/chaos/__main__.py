"""Chaos: runs that are disturbed at random moments have to end equal to undisturbed ones.

python -m benchmarks.chaos --kills N [--seed S]
python -m benchmarks.chaos --overhead REPEATS
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ["RAY_AUTH_MODE"] = "disabled"  # before ray is imported
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from benchmarks.chaos.kills import measure_kills
from benchmarks.chaos.overhead import measure_overhead
from benchmarks.machine import hardware


def main() -> None:
    """Disturb, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--kills", type=int, help="runs, with one kill of a worker, a node or the driver each")
    what.add_argument("--overhead", type=int, metavar="REPEATS", help="time an undisturbed run against plain files")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.kills:
            figures = measure_kills(options.kills, options.seed, Path(folder))
        else:
            figures = measure_overhead(options.overhead, Path(folder))
    print(json.dumps({**figures, "machine": hardware("cpu")}))


if __name__ == "__main__":
    main()
