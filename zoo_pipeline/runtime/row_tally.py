"""Progress of an analysis of many checkpoints: each is sketched first, and compared in full width afterwards."""

import time
from collections.abc import Callable
from threading import Lock

from zoo_pipeline.counts import plural


class RowTally:
    """How far an analysis is; it is told from any thread.

    Args:
        rows: checkpoints that are analysed.
        clock: seconds.
    """

    def __init__(self, rows: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rows, self._clock, self._started = rows, clock, clock()
        self._lock = Lock()
        self._done = {"sketched": 0, "compared": 0}

    def hear(self, stage: str, rows: int) -> None:
        """So many more rows are "sketched" or "compared"."""
        with self._lock:
            self._done[stage] += rows

    @property
    def total(self) -> int:
        """Every row is worked on twice."""
        return 2 * self._rows

    @property
    def done(self) -> int:
        """Rows so far, of both kinds."""
        with self._lock:
            return sum(self._done.values())

    def line(self) -> str:
        """How far it is, on one line."""
        with self._lock:
            told = ", ".join(f"{rows:,} {stage}" for stage, rows in self._done.items())
        return f"{told} of {plural(self._rows, 'checkpoint')}, {self._clock() - self._started:.0f} s"
