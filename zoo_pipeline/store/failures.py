"""Failure reports: why a group could not be trained, in a file of its own, until it is trained."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.rundir import FAILURES, RunDirectory

_PREFIX, _SUFFIX = "group-", ".json"


def report_failure(run: RunDirectory, group: int, message: str, traceback: str) -> str | None:
    """Write a group's failure report, in place of an older one, and return its path.

    Returns:
        None where it cannot be written: what failed may be the disk, and the other groups are not to suffer.
    """
    name = f"{FAILURES}/{_PREFIX}{group:05d}{_SUFFIX}"
    report = {
        "group": group,
        "message": message,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "traceback": traceback.splitlines(),
    }
    try:
        run.files.replace(name, (json.dumps(report, indent=1) + "\n").encode())
    except StoreError:
        return None
    return run.files.at(name)


def forget_failure(run: RunDirectory, group: int) -> None:
    """Remove a group's failure report, where there is one: it has been trained."""
    with suppress(StoreError):
        run.files.discard(f"{FAILURES}/{_PREFIX}{group:05d}{_SUFFIX}")


def failures(run: RunDirectory) -> dict[int, str]:
    """Why groups failed that have not been trained since, one line each, by their numbers."""
    found = {}
    for name in run.files.names(FAILURES):
        number = name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        if number.isdecimal():
            found[int(number)] = _message(run, f"{FAILURES}/{name}")
    return dict(sorted(found.items()))


def _message(run: RunDirectory, name: str) -> str:
    try:
        report: Any = json.loads(run.files.read(name))
        return " ".join(str(report["message"]).split())
    except (StoreError, ValueError, KeyError, TypeError, RecursionError):
        return f"{run.files.at(name)} cannot be read"
