"""Train, analyse and report as a Ray job: `ray job submit --working-dir . … -- python jobs/run.py CONFIG --out RUN`.

Ray puts the unpacked working directory on PYTHONPATH of the driver and of every worker, so the package needs no
installation on the cluster; elsewhere install it first (`pip install -e .`) or call `zoo run`.
"""

import sys

from zoo_pipeline.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
