"""The log of a job: a JSON object a line, for machines and for whoever searches for what happened to a group."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from zoo_pipeline.errors import ConfigError
from zoo_pipeline.store.faults import reason

LOGGER = logging.getLogger("zoo_pipeline")


def log(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event with what belongs to it, such as `group` and `attempt`."""
    LOGGER.log(level, event, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """Records as lines of JSON: `at` (UTC), `level`, `event`, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
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
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)
        handler.close()
