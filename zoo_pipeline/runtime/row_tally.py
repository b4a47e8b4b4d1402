"""Progress of an analysis of many checkpoints: each is sketched first, and compared in full width afterwards."""

import time
from collections.abc import Callable
from threading import Lock

from zoo_pipeline.counts import plural
from zoo_pipeline.runtime.metrics import ANALYSIS_CHECKPOINTS, Meter

BEGUN, STAGES = "begun", ("sketched", "compared")
RowNews = tuple[str, int]  # what happened, to how many rows more


class RowTally:
    """How far an analysis is; it is told from any thread.

    Args:
        rows: checkpoints that are analysed.
        meter: told the same.
        run: tag of what is analysed.
        clock: seconds.
    """

    def __init__(self, rows: int, meter: Meter, run: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._rows, self._clock, self._started = rows, clock, clock()
        self._meter, self._run = meter, run
        self._lock = Lock()
        self._done = dict.fromkeys(STAGES, 0)

    def hear(self, news: RowNews) -> None:
        """Take in what was done; an analysis that is begun again does all again."""
        stage, rows = news
        with self._lock:
            if stage == BEGUN:
                self._done = dict.fromkeys(STAGES, 0)
                return
            self._done[stage] += rows
        self._meter.add(ANALYSIS_CHECKPOINTS, rows, run=self._run, stage=stage)

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
