"""The pulse of a run: what its driver last said of it, in a file that `zoo status` reads from anywhere."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.rundir import PROGRESS, RunDirectory

BEAT_EVERY_S = 30.0
FIRST, LAST = "first", "last"  # group that a driver begins with; beside another one, that it does not begin with
_LOST_AFTER = 4  # beats that did not come


def beat(run: RunDirectory, said: dict[str, Any]) -> None:
    """Write what the driver says now; where that cannot be written, training is not to suffer for it."""
    said = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **said}
    with suppress(StoreError):
        run.files.replace(PROGRESS, (json.dumps(said, indent=1) + "\n").encode())


def still(run: RunDirectory) -> None:
    """Remove the file: this driver has ended, and says nothing more."""
    with suppress(StoreError):
        run.files.discard(PROGRESS)


def pulse(run: RunDirectory) -> dict[str, Any] | None:
    """What a driver last said; None where none is at work, or its words cannot be read.

    Returns:
        As docs/format.md has it, and `age_s`, the seconds since then, and `lost`, whether it should have spoken again.
    """
    try:
        said = json.loads(run.files.read(PROGRESS))
        age_s = (datetime.now(UTC) - datetime.fromisoformat(said["at"])).total_seconds()
        model_epochs = said["model_epochs"]
        return {
            "at": said["at"],
            "age_s": round(age_s, 1),
            "lost": age_s > _LOST_AFTER * BEAT_EVERY_S,
            "started": str(said["started"]),
            "driver": str(said["driver"]),
            "begins": LAST if said.get("begins") == LAST else FIRST,
            "running": [int(group) for group in said["running"]],
            "failed": [int(group) for group in said["failed"]],
            "model_epochs": {
                "done": int(model_epochs["done"]),
                "total": int(model_epochs["total"]),
                "per_s": float(model_epochs["per_s"]),
            },
            "expected_end": None if said["expected_end"] is None else str(said["expected_end"]),
        }
    except (StoreError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
