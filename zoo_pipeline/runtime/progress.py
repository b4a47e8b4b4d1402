"""Progress of long work: a bar on a terminal, a line every 30 s elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_EVERY_S = 30.0


@contextmanager
def progress(label: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show on standard error how much of `total` is done; the context gets the function that advances it."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total)
            yield lambda amount: bar.advance(task, amount)
        return
    lines = _Lines(label, total, unit)
    ended = Event()
    teller = Thread(target=lines.tell_until, args=(ended,), daemon=True)
    teller.start()
    try:
        yield lines.advance
    finally:
        ended.set()
        teller.join()


class _Lines:
    """Progress as lines for a log: also while nothing gets done, so that a reader sees that it is alive."""

    def __init__(self, label: str, total: int, unit: str) -> None:
        self._label, self._total, self._unit = label, total, unit
        self._done = 0
        self._started = time.monotonic()

    def advance(self, amount: int) -> None:
        self._done += amount

    def tell_until(self, ended: Event) -> None:
        while not ended.wait(LINE_EVERY_S):
            self._tell()
        self._tell()

    def _tell(self) -> None:
        elapsed_s = time.monotonic() - self._started
        rate = self._done / max(elapsed_s, 1e-9)
        left = f"{(self._total - self._done) / rate:.0f} s to go" if rate else "time to go unknown"
        print(
            f"{self._label}: {self._done:,} of {self._total:,} {self._unit} in {elapsed_s:.0f} s, {left}",
            file=sys.stderr,
            flush=True,
        )
