"""An end from outside: SIGTERM, as `ray job stop` and schedulers send it, ends a command like Ctrl-C does."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

TERMINATED = 143  # as a shell has it for SIGTERM

# What is said when SIGTERM comes, before anything is cleaned up: there may be no time for it afterwards.
farewells: list[Callable[[], None]] = []


class Terminated(SystemExit):
    """SIGTERM has come."""

    def __init__(self) -> None:
        super().__init__(TERMINATED)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Where SIGTERM comes, interrupt the block as Ctrl-C would, and raise `Terminated` from its end.

    Within the block it is a KeyboardInterrupt because Ray's calls pass that on, and make another of a SystemExit. To be
    entered once Ray is connected, which installs a handler of its own. Ray's jobs are killed 3 s after SIGTERM
    (`RAY_JOB_STOP_WAIT_TIME_S`), so whoever catches this has hardly time for more than a line.
    """
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield
        return
    came = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        first = not came.is_set()
        came.set()
        for say in farewells if first else ():
            with suppress(Exception):  # of a terminal that is gone, or in the middle of a line
                say()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        if came.is_set():
            raise Terminated from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
