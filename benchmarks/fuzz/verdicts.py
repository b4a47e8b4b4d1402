"""Verdicts: what may come of a hostile input, and what must not."""

import io
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import FrameType
from typing import Any

from zoo_pipeline.cli import main
from zoo_pipeline.errors import ZooError

LONGEST_S = 10.0
LONGEST_LINE = 4_000  # characters: a path may have as many
ACCEPTED, DOCUMENTED = "accepted", "documented"
HANG, TRACEBACK, DAMAGE, UNEXPLAINED = "hang", "traceback", "accepted_damage", "unexplained"


class Finding(AssertionError):  # noqa: N818  (it is no error of the package's)
    """Something that no input may bring about.

    Attributes:
        kind: one of `HANG`, `TRACEBACK`, `DAMAGE` and `UNEXPLAINED`.
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(f"{kind}: {what}")
        self.kind = kind


class _TooLong(BaseException):
    """The alarm went off; no `except Exception` of the package's may take it for something else."""


@dataclass(frozen=True)
class Answer:
    """What a function said: a value, or one of the documented errors."""

    value: Any = None
    error: ZooError | None = None

    @property
    def verdict(self) -> str:
        """`ACCEPTED` or `DOCUMENTED`."""
        return ACCEPTED if self.error is None else DOCUMENTED


@dataclass(frozen=True)
class Command:
    """What the command line did."""

    code: int
    out: str
    err: str

    @property
    def verdict(self) -> str:
        """`ACCEPTED` or `DOCUMENTED`."""
        return ACCEPTED if self.code == 0 else DOCUMENTED


def asked(call: Callable[[], Any]) -> Answer:
    """Call a function.

    Raises:
        Finding: it takes too long, or raises what is no `ZooError` of printable lines.
    """
    with _watched():
        try:
            return Answer(value=call())
        except ZooError as error:
            check_lines(str(error))
            return Answer(error=error)
        except Exception:
            raise Finding(TRACEBACK, traceback.format_exc()) from None


def commanded(*arguments: str) -> Command:
    """Run the command line in this process; its output is encoded as a terminal's is.

    Raises:
        Finding: it takes too long, lets an exception out, or does not answer as documented.
    """
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    err = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace")
    with _watched(), redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(list(arguments))
        except Exception:
            raise Finding(TRACEBACK, f"{arguments}\n{traceback.format_exc()}") from None
    done = Command(code, *(_content(stream) for stream in (out, err)))
    if "Traceback (most recent call last)" in done.err:
        raise Finding(TRACEBACK, f"{arguments}\n{done.err}")
    if done.code not in (0, 1, 2):
        raise Finding(UNEXPLAINED, f"{arguments}: exit code {done.code}")
    if done.code == 2:
        if not done.err.startswith("zoo: ") and "\nzoo: " not in done.err:
            raise Finding(UNEXPLAINED, f"{arguments}: exit code 2 and no line that says why, but {done.err!r}")
        check_lines(done.err.rstrip("\n"))
    return done


def check_lines(text: str) -> None:
    """Refuse a message that would not be lines on a terminal.

    Raises:
        Finding: it is empty, has an empty line, one far too long, or signs that a terminal would obey.
    """
    for line in text.split("\n"):
        if not line.strip() or len(line) > LONGEST_LINE or not line.isprintable():
            raise Finding(UNEXPLAINED, f"a message is no readable line: {line!r:.300} ({len(line)} characters)")


def _content(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextmanager
def _watched() -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_S)
    try:
        yield
    except _TooLong as error:
        raise Finding(
            HANG, f"no answer within {LONGEST_S:g} s\n{''.join(traceback.format_tb(error.__traceback__))}"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
