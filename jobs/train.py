"""Train a zoo as a Ray job: `ray job submit --working-dir . … -- python jobs/train.py CONFIG --out RUN`."""

import sys

from zoo_pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
