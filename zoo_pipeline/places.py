"""Places of runs: the same for the process that names them and for workers elsewhere."""

import os
from pathlib import Path

from zoo_pipeline.errors import ConfigError

JOB = "ZOO_JOB"  # variable of the environment in which the scripts of jobs/ say what they are
_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"  # Ray sets it for the entry point of a submitted job


def in_job() -> bool:
    """Whether this process is the driver of a job, which works in a copy of the code."""
    return _RAY_JOB in os.environ or JOB in os.environ


def absolute(root: str) -> str:
    """The run's place, the same for this process and for workers elsewhere.

    Raises:
        ConfigError: an empty path, or a relative one of a job: it would lie in a copy that Ray removes, or on the head.
    """
    place = root.removeprefix("file://").removeprefix("local://")
    if not place.strip():
        raise ConfigError("no place is named for the run: expected a path or a URI, got an empty text")
    if "://" in place or Path(place).is_absolute():
        return place
    if in_job():
        raise ConfigError(
            f"{root}: a relative path, but a job works in a copy of the code that Ray removes, or on the head alone; "
            f"name an absolute path on a disk that all nodes share, or a URI such as s3://bucket/run"
        )
    return str(Path(place).absolute())
