"""The training task, and a line in a file for each attempt at a group: the measure of what was trained twice."""

import os
import tempfile
from collections import Counter
from pathlib import Path

from zoo_pipeline.data import Dataset
from zoo_pipeline.runtime import group_task, training
from zoo_pipeline.runtime.group_task import GroupResult, GroupTask, Tell

STATE_EVERY_EPOCHS = 2  # so that kills hit groups that have saved states, too
_task = group_task.train_and_publish


def train_and_publish(task: GroupTask, dataset: Dataset, tell: Tell, *, device: str) -> GroupResult:
    """Train one group as the product does."""
    group_task.STATE_EVERY_EPOCHS = STATE_EVERY_EPOCHS
    _note(task, "begun")
    result = _task(task, dataset, tell, device=device)
    _note(task, "trained" if result.epochs else "found")
    return result


def trainings(root: str) -> Counter[int]:
    """How often each group of a run was begun, without the attempts that found it done."""
    counts: Counter[int] = Counter()
    for line in _file(root).read_text().splitlines():
        group, event = line.split()
        counts[int(group)] += {"begun": 1, "trained": 0, "found": -1}[event]
    return counts


def forget(root: str) -> None:
    """Remove the file of a run's attempts."""
    _file(root).unlink(missing_ok=True)


def _file(root: str) -> Path:
    """On this machine, also of a run in a bucket."""
    protocol, sign, path = root.partition("://")
    return Path(tempfile.gettempdir(), f"{path.replace('/', '-')}.attempts") if sign else Path(f"{protocol}.attempts")


def _note(task: GroupTask, event: str) -> None:
    """Append a line in one write, which processes do not mix."""
    descriptor = os.open(_file(task.root), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{task.group.number} {event}\n".encode())
    os.close(descriptor)


def counting() -> None:
    """Make the training job of this process use the counted task."""
    setattr(training, _task.__name__, train_and_publish)
