"""Progress of an export."""

import time
from collections.abc import Callable

from zoo_pipeline.counts import plural


class ExportTally:
    """How far an export is.

    Args:
        checkpoints: that are to be written.
        clock: seconds.
    """

    def __init__(self, checkpoints: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = checkpoints
        self._clock, self._started = clock, clock()
        self.done = self.files = 0

    def line(self) -> str:
        """How far it is, on one line."""
        elapsed_s = self._clock() - self._started
        return f"{self.done:,} of {plural(self.total, 'checkpoint')} in {plural(self.files, 'file')}, {elapsed_s:.0f} s"
