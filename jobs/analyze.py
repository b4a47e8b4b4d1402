"""Analyse runs as a Ray job: `ray job submit --working-dir . … -- python jobs/analyze.py RUN`."""

import sys

from zoo_pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main(["analyze", *sys.argv[1:]]))
