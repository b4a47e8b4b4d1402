"""Analyse runs on the cluster where this is started: `… jobs/analyze.py RUN`, in both ways of jobs/run.py."""

import sys

from zoo_pipeline.cli import job

if __name__ == "__main__":
    sys.exit(job("analyze"))
