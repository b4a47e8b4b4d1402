"""Progress of an import: every file is looked at first, and read whole afterwards."""

import time
from collections.abc import Callable

from zoo_pipeline.counts import plural


class FileTally:
    """How far an import is.

    Args:
        files: that there are.
        clock: seconds.
    """

    def __init__(self, files: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._files, self._clock, self._started = files, clock, clock()
        self.surveyed = self.imported = 0

    @property
    def total(self) -> int:
        """Every file is worked on twice."""
        return 2 * self._files

    @property
    def done(self) -> int:
        """Files so far, of both kinds."""
        return self.surveyed + self.imported

    def line(self) -> str:
        """How far it is, on one line."""
        files, elapsed_s = plural(self._files, "file"), self._clock() - self._started
        return f"{self.surveyed:,} looked at, {self.imported:,} read of {files}, {elapsed_s:.0f} s"
