"""Chaos: runs that are disturbed at random moments have to end equal to undisturbed ones.

python -m benchmarks.chaos --kills N [--server {moto,ministack}] [--seed S]
python -m benchmarks.chaos --storage-errors N --server {moto,ministack} [--seed S]
python -m benchmarks.chaos --outage SECONDS [--server {moto,ministack}]
python -m benchmarks.chaos --large-files N [--server {moto,ministack}] [--seed S]
python -m benchmarks.chaos --overhead REPEATS
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ["RAY_AUTH_MODE"] = "disabled"  # before ray is imported
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

from benchmarks.chaos.kills import measure_kills
from benchmarks.chaos.outage import measure_large_files, measure_outage
from benchmarks.chaos.overhead import measure_overhead
from benchmarks.chaos.servers import SERVERS
from benchmarks.chaos.storage import disturb
from benchmarks.machine import hardware


def main() -> None:
    """Disturb, and print one JSON line last."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--kills", type=int, metavar="N", help="runs with one kill each: a worker, a node or the driver")
    what.add_argument("--storage-errors", type=int, metavar="N", help="errors to inject between runs and an S3 server")
    what.add_argument("--outage", type=float, metavar="SECONDS", help="one run whose bucket is gone for so long")
    what.add_argument("--large-files", type=int, metavar="N", help="large files to write while requests fail")
    what.add_argument("--overhead", type=int, metavar="REPEATS", help="time an undisturbed run against plain files")
    parser.add_argument("--server", choices=SERVERS, help="which S3 server; of --kills: in its bucket")
    parser.add_argument("--seed", type=int, default=0, help="of what is disturbed, and when")
    given = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if given.kills:
            figures = measure_kills(given.kills, given.seed, Path(folder), given.server)
        elif given.storage_errors:
            figures = disturb(given.server or SERVERS[0], given.storage_errors, given.seed)
        elif given.outage:
            figures = measure_outage(given.server or SERVERS[0], given.outage)
        elif given.large_files:
            figures = measure_large_files(given.server or SERVERS[0], given.large_files, given.seed)
        else:
            figures = measure_overhead(given.overhead, Path(folder))
    print(json.dumps({**figures, "wall_s": round(time.perf_counter() - started, 1), "machine": hardware("cpu")}))


if __name__ == "__main__":
    main()
