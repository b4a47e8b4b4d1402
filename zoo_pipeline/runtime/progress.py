"""Progress of long work: a bar on a terminal, a line every 30 s elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_EVERY_S = 30.0


class Advance(Protocol):
    """Say that some of the work is done."""

    def __call__(self, amount: int) -> None:
        """This much more of the total is done."""
        ...


@contextmanager
def progress(label: str, total: int, unit: str) -> Iterator[Advance]:
    """Show how much of `total` is done; the context gets a function to advance it."""
    if sys.stderr.isatty():
        with _bar() as bar:
            task = bar.add_task(label, total=total)
            yield lambda amount: bar.advance(task, amount)
    else:
        yield _Lines(label, total, unit)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


class _Lines:
    """Progress as lines on standard error, for logs."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done = 0
        self._started = self._told = time.monotonic()

    def __call__(self, amount: int) -> None:
        self._done += amount
        now = time.monotonic()
        if now - self._told >= LINE_EVERY_S or self._done == self._total:
            self._told = now
            rate = self._done / max(now - self._started, 1e-9)
            print(
                f"{self._label}: {self._done}/{self._total} {self._unit}, {rate:.3g} {self._unit}/s, "
                f"{(self._total - self._done) / rate:.0f} s to go",
                file=sys.stderr,
                flush=True,
            )
