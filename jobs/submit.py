"""Submit a job from this checkout, follow its log, and submit it again where its cluster is lost.

    python jobs/submit.py --address http://127.0.0.1:8265 -- python jobs/run.py CONFIG --out s3://BUCKET/RUN

Exit codes: the job's own; 143: it was stopped; 1: it was lost more often than --resubmit allows.
"""

import argparse
import sys
from pathlib import Path

import yaml

from zoo_pipeline.errors import ZooError
from zoo_pipeline.runtime.submission import Submission, see_through


def main() -> int:
    """Read the command line, and see the job through."""
    parser = argparse.ArgumentParser(prog="jobs/submit.py", description=__doc__.splitlines()[0])
    parser.add_argument("--address", help="of the Ray dashboard; else RAY_API_SERVER_ADDRESS or RAY_ADDRESS")
    parser.add_argument("--resubmit", type=int, default=3, metavar="N", help="after a lost cluster, at most (3)")
    parser.add_argument("--patience", type=float, default=900, metavar="S", help="seconds to wait for a cluster (900)")
    parser.add_argument("command", nargs="+", help="what to run, after --")
    given = parser.parse_args()
    jobs = Path(__file__).parent
    environment = yaml.safe_load((jobs / "runtime_env.yaml").read_text()) | {"working_dir": str(jobs.parent)}
    job = Submission(given.command, environment, given.address, resubmit=given.resubmit, patience_s=given.patience)
    try:
        return see_through(job)
    except ZooError as error:
        print(*(f"zoo: {line}" for line in error.args), sep="\n", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("zoo: no longer followed; the job goes on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
