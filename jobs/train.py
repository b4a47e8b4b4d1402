"""Train a zoo on the cluster where this is started: `… jobs/train.py CONFIG --out RUN`, in both ways of jobs/run.py."""

import sys

from zoo_pipeline.cli import job

if __name__ == "__main__":
    sys.exit(job("train"))
