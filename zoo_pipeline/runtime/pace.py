"""When something that happens again and again is due."""

import time
from collections.abc import Callable


class Pace:
    """Due after so many seconds or so many asks, whichever comes first."""

    def __init__(self, seconds: float, asks: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._most_asks, self._clock = seconds, asks, clock
        self._asked, self._since = 0, clock()

    def due(self) -> bool:
        """Whether it is due now; where it is, counting starts again."""
        self._asked += 1
        late = self._clock() - self._since >= self._seconds
        if not late and (self._most_asks is None or self._asked < self._most_asks):
            return False
        self._asked, self._since = 0, self._clock()
        return True
