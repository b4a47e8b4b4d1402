"""The `zoo` command with its attempts counted: what the chaos runs, and kills.

python -m benchmarks.chaos.driver SHARD_BYTES train …
"""

import sys

from benchmarks.chaos.counted import counting
from zoo_pipeline import ranges
from zoo_pipeline.cli import main

if __name__ == "__main__":
    counting()
    ranges.SHARD_BYTES = int(sys.argv[1])  # small ones cut groups into epoch ranges, as large models do
    sys.exit(main(sys.argv[2:]))
