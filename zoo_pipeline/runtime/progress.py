"""Progress: a bar on a terminal, a line every 30 s elsewhere; and how far training is."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Lock, Thread
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from zoo_pipeline.counts import plural

LINE_EVERY_S = 30.0
BAR_EVERY_S = 0.5


@dataclass(frozen=True)
class Work:
    """What an attempt at a group has done since it began.

    Attributes:
        epochs: passes over the training data.
        bytes: of the shards and buffers that it published.
        seconds: by stage; with the stage "other" they add up to all the time that it took.
    """

    epochs: int = 0
    bytes: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)

    def since(self, before: "Work") -> "Work":
        """What was done since an earlier word of the same attempt."""
        seconds = {stage: max(0.0, value - before.seconds.get(stage, 0.0)) for stage, value in self.seconds.items()}
        return Work(max(0, self.epochs - before.epochs), max(0, self.bytes - before.bytes), seconds)


@dataclass(frozen=True)
class GroupNews:
    """How far a group is, as its task tells it.

    Attributes:
        group: number of the group.
        epoch: passes over the training data so far.
        attempt: a name of the attempt at the group: machine, process and a few digits.
        event: what has happened, for the log; empty where nothing has but time.
        work: what the attempt has done so far.
    """

    group: int
    epoch: int
    attempt: str
    event: str = ""
    work: Work = Work()


@dataclass(frozen=True)
class GroupNote:
    """Something about a group that a person should read."""

    group: int
    text: str
    attempt: str


class Shown(Protocol):
    """What can be shown of work as long as it is done."""

    @property
    def total(self) -> int:
        """How much there is to do."""
        ...

    @property
    def done(self) -> int:
        """How much of it is done."""
        ...

    def line(self) -> str:
        """How far it is, on one line."""
        ...


class Tally:
    """How far training is, in model-epochs: the sum over the models of the epochs that they are trained for.

    Counts what it is told, from any thread; what it is not told it learns when the group ends.

    Args:
        models: number of models by group, of the groups that are to be trained.
        epochs: that each of them is trained for.
        clock: seconds.
    """

    def __init__(self, models: Mapping[int, int], epochs: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._models, self._epochs, self._clock = models, epochs, clock
        self._started = clock()
        self._lock = Lock()
        self._epoch = dict.fromkeys(models, 0)
        self._found: dict[int, int] = {}  # the epoch at which a group was taken up; the rest is this call's work
        self._attempts: dict[int, set[str]] = {}
        self._over: set[int] = set()

    def hear(self, news: GroupNews) -> None:
        """Take in how far a group is."""
        with self._lock:
            if news.group not in self._over:
                self._found.setdefault(news.group, news.epoch)
                self._epoch[news.group] = news.epoch
            self._attempts.setdefault(news.group, set()).add(news.attempt)

    def end(self, group: int) -> None:
        """A group is over, trained or failed."""
        with self._lock:
            self._found.setdefault(group, 0)
            self._epoch[group] = self._epochs
            self._over.add(group)

    def retries(self, group: int) -> int:
        """How often a group was begun again, as far as it was told."""
        with self._lock:
            return max(0, len(self._attempts.get(group, ())) - 1)

    def running(self) -> list[int]:
        """Numbers of the groups that were begun and are not over, as far as it was told."""
        with self._lock:
            return sorted(self._attempts.keys() - self._over)

    @property
    def total(self) -> int:
        """Model-epochs in all."""
        return self._epochs * sum(self._models.values())

    @property
    def done(self) -> int:
        """Model-epochs so far."""
        with self._lock:
            return sum(self._models[group] * epoch for group, epoch in self._epoch.items())

    @property
    def rate(self) -> float:
        """Model-epochs per second since the start, without what was found done."""
        done = self.done
        with self._lock:
            found = sum(self._models[group] * epoch for group, epoch in self._found.items())
        return max(0, done - found) / max(self._clock() - self._started, 1e-9)

    def line(self) -> str:
        """How far it is, on one line."""
        elapsed_s = self._clock() - self._started
        done, rate = self.done, self.rate
        with self._lock:
            over = sum(self._models[group] for group in self._over)
        models = sum(self._models.values())
        text = f"{done:,} of {self.total:,} model-epochs, {over:,} of {plural(models, 'model')} done, {elapsed_s:.0f} s"
        if rate:
            text += f", {rate:,.{0 if rate >= 10 else 2}f} model-epochs/s"
        if done == self.total:
            return text
        if not rate:
            return f"{text}, end unknown"
        left_s = (self.total - done) / rate
        end = datetime.now() + timedelta(seconds=min(left_s, 1e9))
        return f"{text}, {left_s:,.0f} s to go, until {end:%d %b %H:%M}"


def tell_line(label: str, line: str) -> None:
    """Show a line on standard error, also beside what `shown` shows there."""
    print(f"{label}: {line}", file=sys.stderr, flush=True)


@contextmanager
def shown(label: str, tally: Shown) -> Iterator[None]:
    """Show a tally on standard error as long as the context is open, where there is anything to do."""
    if not tally.total:
        yield
        return
    ended = Event()
    terminal = sys.stderr.isatty()
    teller = Thread(target=_bar if terminal else _lines, args=(label, tally, ended), daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


def _bar(label: str, tally: Shown, ended: Event) -> None:
    columns = (
        TextColumn("{task.description}", table_column=Column(min_width=len(label))),
        BarColumn(bar_width=20, table_column=Column(min_width=20)),
        TextColumn("{task.fields[line]}", table_column=Column(overflow="fold")),  # on narrow terminals two lines
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=tally.total, line=tally.line())
        while not ended.wait(BAR_EVERY_S):
            bar.update(task, completed=tally.done, line=tally.line())
        bar.update(task, completed=tally.done, line=tally.line())


def _lines(label: str, tally: Shown, ended: Event) -> None:
    """Also while nothing gets done, so that a reader sees that it is alive."""
    while not ended.wait(LINE_EVERY_S):
        tell_line(label, tally.line())
    tell_line(label, tally.line())
