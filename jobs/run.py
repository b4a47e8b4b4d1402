"""Train, analyse and report on the cluster where this is started.

    ray job submit --working-dir . … -- python jobs/run.py CONFIG --out RUN
    ray submit cluster.yaml jobs/run.py CONFIG --out RUN

The first sends the package with the working directory, which Ray puts before everything that is installed, for the
driver and for every worker. The second sends this file alone: the package is on the nodes (see docs/deploy/README.md).
"""

import sys

from zoo_pipeline.cli import job

if __name__ == "__main__":
    sys.exit(job("run"))
