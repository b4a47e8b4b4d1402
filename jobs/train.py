"""Train a zoo on the cluster where this is started: `… jobs/train.py CONFIG --out RUN`, in both ways of jobs/run.py."""

import os
import sys

from zoo_pipeline.cli import main

if __name__ == "__main__":
    os.environ.setdefault("RAY_ADDRESS", "auto")
    sys.exit(main(["train", *sys.argv[1:]]))
