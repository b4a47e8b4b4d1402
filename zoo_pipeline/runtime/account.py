"""The account of a training job: what its tasks tell, and what of that people, files and logs are told."""

import logging
import os
import platform
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from threading import Event, Thread
from typing import Any

from zoo_pipeline.addresses import without_secrets
from zoo_pipeline.plan import Group, Plan
from zoo_pipeline.runtime.group_task import GroupResult
from zoo_pipeline.runtime.log import attempt_of, log
from zoo_pipeline.runtime.metrics import Meter, run_tag
from zoo_pipeline.runtime.progress import GroupNews, GroupNote, Tally, shown, tell_line
from zoo_pipeline.runtime.training_meter import TrainingMeter
from zoo_pipeline.store.failures import forget_failure, report_failure
from zoo_pipeline.store.options import redacted
from zoo_pipeline.store.pulse import BEAT_EVERY_S, FIRST, beat, still
from zoo_pipeline.store.rundir import RunDirectory

_FIRST_BEATS_S = (3.0, 7.0, 20.0)  # after which somebody who looks at once is told something
ENDS_WITHIN_S = 5.0  # that a beat is waited for which a slow store holds up


@dataclass(frozen=True)
class GroupFailure:
    """A group that could not be trained, the traceback of why, and the file that has both, if it could be written."""

    group: int
    message: str
    traceback: str
    report: str | None


@dataclass(frozen=True)
class GroupWork:
    """What one task did; `retries` are those that the driver heard of."""

    group: int
    models: int
    epochs: int
    wall_s: float
    retries: int

    @property
    def model_epochs_per_s(self) -> float:
        """Throughput of the task, from its first look at the run to its last shard."""
        return self.models * self.epochs / max(self.wall_s, 1e-9)


class Account:
    """Keeps the account of one call of `train_zoo`.

    Attributes:
        works: what the tasks did that are over.
        found: how many groups a task found published by somebody else in the meantime.
        failures: the groups that failed.
    """

    def __init__(self, plan: Plan, run: RunDirectory, missing: list[Group], meter: Meter, begins: str = FIRST) -> None:
        self._run, self._groups, self._missing, self._begins = run, len(plan.groups), len(missing), begins
        models = {group.number: len(group.models) for group in missing}
        self._tally = Tally(models, plan.epochs)
        self._meter = TrainingMeter(meter, run_tag(run.root), self._tally, models, len(plan.groups) - len(missing))
        self._started = datetime.now(UTC)
        self.works: list[GroupWork] = []
        self.found = 0
        self.failures: list[GroupFailure] = []

    @contextmanager
    def open(self) -> Iterator[None]:
        """Show progress, and let the run's pulse beat, as long as the block runs."""
        ended = Event()
        heart = Thread(target=self._beat, args=(ended,), daemon=True)
        if self._missing:
            heart.start()
        log("training begun", run=self._run.root, groups=self._groups, missing=self._missing)
        try:
            with shown("training", self._tally), self._meter.passing_on():
                yield
        finally:
            ended.set()
            if self._missing:
                heart.join(ENDS_WITHIN_S)
                still(self._run)
            log("training ended", run=self._run.root, trained=len(self.works), failed=len(self.failures))

    def hear(self, news: GroupNews | GroupNote) -> None:
        """Take in what a task tells."""
        if isinstance(news, GroupNote):
            log(news.text, logging.WARNING, run=self._run.root, group=news.group, attempt=news.attempt)
            tell_line("training", f"group {news.group}: {news.text}")
            return
        if news.event:
            log(news.event, run=self._run.root, group=news.group, attempt=news.attempt, epoch=news.epoch)
        self._tally.hear(news)
        self._meter.hear(news)

    def done(self, group: Group, result: GroupResult) -> None:
        """A group is there."""
        number = group.number
        self._tally.end(number)
        self._meter.done(number, result.attempt, result.work)
        retries = self._tally.retries(number)
        if result.epochs or retries:
            self.works.append(GroupWork(number, len(group.models), result.epochs, result.wall_s, retries))
        else:
            self.found += 1
        forget_failure(self._run, number)
        size = sum(record.bytes for record in result.records)
        log(
            "group done",
            run=self._run.root,
            group=number,
            attempt=result.attempt,
            bytes=size,
            wall_s=round(result.wall_s, 3),
            seconds={stage: round(seconds, 3) for stage, seconds in result.work.seconds.items()},
        )

    def failed(self, group: Group, error: Exception) -> None:
        """A group could not be trained."""
        attempt = attempt_of(error) or self._meter.last_attempt(group.number)
        self._tally.end(group.number)
        self._meter.failed(group.number)
        # A library's words may hold the address that it was given.
        text = redacted(without_secrets("".join(traceback.format_exception(error))))
        message = redacted(without_secrets(f"{type(error).__name__}: {error}".splitlines()[0]))
        report = report_failure(self._run, group.number, message, text)
        self.failures.append(GroupFailure(group.number, message, text, report))
        about = {"run": self._run.root, "group": group.number, "attempt": attempt}
        log("group failed", logging.ERROR, **about, error=message, report=report)

    def _beat(self, ended: Event) -> None:
        beat(self._run, self._said())
        for wait_s in chain(_FIRST_BEATS_S, repeat(BEAT_EVERY_S)):
            if ended.wait(wait_s):
                return
            beat(self._run, self._said())

    def _said(self) -> dict[str, Any]:
        """What `zoo status` is told; docs/format.md has it."""
        rate, left = self._tally.rate, self._tally.total - self._tally.done
        end = datetime.now(UTC) + timedelta(seconds=min(left / rate, 1e9)) if rate else None
        return {
            "started": self._started.isoformat(timespec="seconds"),
            "driver": f"{platform.node()}:{os.getpid()}",
            "begins": self._begins,
            "running": self._tally.running(),
            "failed": sorted(failure.group for failure in self.failures),
            "model_epochs": {"done": self._tally.done, "total": self._tally.total, "per_s": round(rate, 3)},
            "expected_end": end.isoformat(timespec="seconds") if end else None,
        }
