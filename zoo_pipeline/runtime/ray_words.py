"""What Ray says of work that it could not finish, in words for a person who never saw our functions."""

import re

from ray.exceptions import NodeDiedError, OutOfMemoryError, RayActorError, RayError, WorkerCrashedError

from zoo_pipeline.errors import UnfinishedError

MOST_CHARACTERS = 500
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_OUT_OF_MEMORY = (
    "its worker took more memory than the machine had left and was ended, as often as it was begun again; "
    "give it a machine with more memory, or less work at once"
)
_DIED = (
    "its worker died as often as it was begun again, perhaps for want of memory; "
    "Ray's logs on that machine, /tmp/ray/session_latest/logs, may say why"
)


def unfinished(error: RayError, work: str) -> UnfinishedError:
    """The error for a user where Ray gave up: one line.

    Ray's own texts name the functions and classes that it ran, which are ours, and say nothing to anybody else.

    Args:
        error: Ray's own, not what the work raised.
        work: what it was, in a word.
    """
    if isinstance(error, OutOfMemoryError):
        said = _OUT_OF_MEMORY
    elif isinstance(error, WorkerCrashedError | NodeDiedError | RayActorError):
        said = _DIED
    else:
        said = _text(error)[:MOST_CHARACTERS] or type(error).__name__
    return UnfinishedError(f"{work}: Ray could not finish it: {said}")


def traceback_text(error: RayError) -> str:
    """The traceback of what a task raised, in its own process, as Ray's text has it."""
    return _COLOURS.sub("", str(error))


def _text(error: RayError) -> str:
    """Ray's text on one line without its tracebacks and tables: what is indented, or names a task of ours."""
    lines = _COLOURS.sub("", str(error)).splitlines()
    kept = [line for line in lines if line and not line[0].isspace() and "ray::" not in line]
    return " ".join(" ".join(kept).split())
