"""The log of a job: a JSON object a line, for machines and for whoever searches for what happened to a group."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo_pipeline.errors import ConfigError
from zoo_pipeline.store.faults import reason

LOGGER = logging.getLogger("zoo_pipeline")
EVENTS = logging.getLogger("zoo_pipeline.events")
TASKS = logging.getLogger("zoo_task")  # apart, since without Ray a task runs in the driver, which logs the same
STORE = logging.getLogger("zoo_pipeline.store.patience")  # says of a task's store what it waits for
for _logger in (EVENTS, TASKS):
    _logger.addHandler(logging.NullHandler())  # without any, Python prints errors, which the driver tells anyway
_STANDARD = vars(logging.makeLogRecord({})).keys() | {"message", "asctime", "taskName"}
_NOTE = "attempt: "
_group: ContextVar[dict[str, Any]] = ContextVar("group")


def log(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event of the driver with what belongs to it, such as `group` and `attempt`."""
    EVENTS.log(level, event, extra=fields)


def task_log(event: str, **fields: Any) -> None:
    """Log an event of the group that a task is at, in the worker; Ray's logging decides where that goes."""
    TASKS.info(event, extra={**_group.get({}), **fields})


@contextmanager
def tell_group(run: str, group: int, attempt: str) -> Iterator[None]:
    """What a task logs while the block runs says whom it concerns; an error is logged, and says whose it is."""
    about = {"run": run, "group": group, "attempt": attempt}

    def add(record: logging.LogRecord) -> bool:
        vars(record).update(about)
        return True

    token = _group.set(about)
    STORE.addFilter(add)
    try:
        yield
    except Exception as error:
        TASKS.exception("group failed", extra=about)
        error.add_note(f"{_NOTE}{attempt}")
        raise
    finally:
        STORE.removeFilter(add)
        _group.reset(token)


def attempt_of(error: Exception) -> str | None:
    """Name of the attempt that an error ended; None where its worker died."""
    notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(_NOTE)]
    return notes[-1].removeprefix(_NOTE) if notes else None


class JsonLines(logging.Formatter):
    """Records as lines of JSON: `at` (UTC), `level`, `event`, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "event": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        return json.dumps(line, default=str)


@contextmanager
def logged(file: Path | None) -> Iterator[None]:
    """Append the events to a file while the block runs; None: to none.

    Raises:
        ConfigError: the file cannot be written.
    """
    if file is None:
        yield
        return
    try:
        handler = logging.FileHandler(file, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--log {file}: cannot be written ({reason(error)}); name another file") from None
    handler.setFormatter(JsonLines())
    before = LOGGER.level
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(handler)
    terminal = logging.StreamHandler()  # what a store is waited for is read there, too, as without a file
    STORE.addHandler(terminal)
    try:
        yield
    finally:
        STORE.removeHandler(terminal)
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)
        handler.close()
