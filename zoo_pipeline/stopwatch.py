"""Where the time of a piece of work goes, stage by stage."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OTHER = "other"  # time that no stage has


class Stopwatch:
    """Adds up the seconds of each stage; stages follow each other, and none lies in another.

    Args:
        clock: seconds.

    Example:
        >>> now = iter([0.0, 1.0, 4.0, 5.0])
        >>> watch = Stopwatch(lambda: next(now))
        >>> with watch.timing("train"):
        ...     pass
        >>> watch.seconds()
        {'train': 3.0, 'other': 2.0}
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._started = clock, clock()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def timing(self, stage: str) -> Iterator[None]:
        """The block belongs to a stage, also where it raises."""
        started = self._clock()
        try:
            yield
        finally:
            self._seconds[stage] = self._seconds.get(stage, 0.0) + self._clock() - started

    def seconds(self) -> dict[str, float]:
        """Seconds of every stage so far, and those since the start that belong to none; they add up to all of it."""
        rest = self._clock() - self._started - sum(self._seconds.values())
        return {**self._seconds, OTHER: max(0.0, rest)}
