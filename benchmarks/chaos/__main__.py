"""`python -m benchmarks.chaos --storage-errors N --server {moto,ministack} [--seed S]`: a JSON line comes last."""

import argparse
import json
import time

from benchmarks.chaos.servers import SERVERS
from benchmarks.chaos.storage import disturb


def main() -> None:
    """Disturb runs, and print what became of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--storage-errors", type=int, required=True, metavar="N", help="errors to inject")
    parser.add_argument("--server", choices=SERVERS, default="moto", help="which S3 server")
    parser.add_argument("--seed", type=int, default=0, help="of what is disturbed, and when")
    given = parser.parse_args()
    started = time.perf_counter()
    found = disturb(given.server, given.storage_errors, given.seed)
    print(json.dumps({**found, "wall_s": round(time.perf_counter() - started, 1)}))


if __name__ == "__main__":
    main()
