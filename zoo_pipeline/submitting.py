"""The command line of jobs/submit.py."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from zoo_pipeline.errors import ZooError
from zoo_pipeline.runtime.submission import Submission, see_through

INTERRUPTED = 130  # as a shell has it for SIGINT


def main(words: Sequence[str], jobs: Path, about: str) -> int:
    """Submit what the command line says, and see it through.

    Args:
        words: the command line.
        jobs: the folder jobs of the checkout that travels with the job.
        about: what the help begins with.
    """
    parser = argparse.ArgumentParser(
        prog="jobs/submit.py", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", help="of the Ray dashboard; else RAY_API_SERVER_ADDRESS or RAY_ADDRESS")
    parser.add_argument("--resubmit", type=int, default=3, metavar="N", help="after a lost cluster, at most (3)")
    parser.add_argument("--patience", type=float, default=900, metavar="S", help="seconds to wait for a cluster (900)")
    parser.add_argument("command", nargs="+", help="what to run, after --")
    given = parser.parse_args(words)
    environment = yaml.safe_load((jobs / "runtime_env.yaml").read_text()) | {"working_dir": str(jobs.parent)}
    job = Submission(given.command, environment, given.address, resubmit=given.resubmit, patience_s=given.patience)
    try:
        return see_through(job)
    except ZooError as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("zoo: no longer followed; the job goes on", file=sys.stderr)
        return INTERRUPTED
