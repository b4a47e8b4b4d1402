"""Analyse runs on the cluster where this is started: `… jobs/analyze.py RUN`, in both ways of jobs/run.py."""

import os
import sys

from zoo_pipeline.cli import main

if __name__ == "__main__":
    os.environ.setdefault("RAY_ADDRESS", "auto")
    sys.exit(main(["analyze", *sys.argv[1:]]))
