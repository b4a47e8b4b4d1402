"""The metrics of a training job, from what its tasks tell while they run and return at their end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Lock, Thread

from zoo_pipeline.runtime.metrics import (
    GROUPS,
    GROUPS_DONE,
    GROUPS_FAILED,
    GROUPS_RETRIED,
    MODEL_EPOCHS,
    MODEL_EPOCHS_LEFT,
    TASK_SECONDS,
    WRITTEN_BYTES,
    Meter,
)
from zoo_pipeline.runtime.progress import GroupNews, Tally, Work

PASS_ON_EVERY_S = 2.0  # more often than Ray reports: a gauge that is not set again is forgotten after two reports


class TrainingMeter:
    """Counts what was done, whoever did it and whether or not it was lost afterwards.

    It is all in the driver, not in the workers: these come and go, and a counter of each is a series of its own, whose
    first value Prometheus' `rate()` does not see. Tasks tell what an attempt has done since its beginning, so a message
    that is lost is made up for by the next, and what they return makes it exact.

    Args:
        meter: what is told.
        run: tag of the run.
        tally: how far training is.
        models: number of models by group, of the groups that are to be trained.
        found: how many groups were there from the start.
    """

    def __init__(self, meter: Meter, run: str, tally: Tally, models: Mapping[int, int], found: int) -> None:
        self._meter, self._run, self._tally, self._models = meter, run, tally, models
        self._lock = Lock()
        self._groups = {"found": found, "waiting": len(models), "running": 0, "done": 0, "failed": 0}
        self._attempts: dict[int, dict[str, Work]] = {}  # of the groups that run: what each attempt has told
        self._over: set[int] = set()
        self._untold = {"model_epochs": 0, "bytes": 0, "retries": 0}
        self._seconds: dict[str, float] = {}

    @contextmanager
    def passing_on(self) -> Iterator[None]:
        """Tell the meter as long as the block runs, also while nothing happens, and at its end."""
        ended = Event()
        teller = Thread(target=self._tell, args=(ended,), daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()
            self.pass_on()

    def hear(self, news: GroupNews) -> None:
        """Take in what an attempt has done so far."""
        with self._lock:
            if news.group not in self._over:
                self._count(news.group, news.attempt, news.work)

    def done(self, group: int, attempt: str, work: Work) -> None:
        """A group is there; what its last attempt did is known for certain."""
        with self._lock:
            self._count(group, attempt, work)
            self._end(group, "done")
        self._meter.add(GROUPS_DONE, 1, run=self._run)

    def failed(self, group: int) -> None:
        """A group could not be trained."""
        with self._lock:
            self._end(group, "failed")
        self._meter.add(GROUPS_FAILED, 1, run=self._run)

    def last_attempt(self, group: int) -> str | None:
        """Name of the last attempt that was heard of, of a group that is not over."""
        with self._lock:
            return next(reversed(self._attempts.get(group, {})), None)

    def pass_on(self) -> None:
        """Tell the meter what it has not been told."""
        with self._lock:
            untold, seconds = dict(self._untold), dict(self._seconds)
            self._untold = dict.fromkeys(untold, 0)
            self._seconds.clear()
            groups = dict(self._groups)
        self._meter.add(MODEL_EPOCHS, untold["model_epochs"], run=self._run)
        self._meter.add(WRITTEN_BYTES, untold["bytes"], run=self._run)
        self._meter.add(GROUPS_RETRIED, untold["retries"], run=self._run)
        for stage, value in seconds.items():
            self._meter.add(TASK_SECONDS, value, run=self._run, stage=stage)
        for state, number in groups.items():
            self._meter.set(GROUPS, number, run=self._run, state=state)
        self._meter.set(MODEL_EPOCHS_LEFT, self._tally.total - self._tally.done, run=self._run)

    def _tell(self, ended: Event) -> None:
        self.pass_on()
        while not ended.wait(PASS_ON_EVERY_S):
            self.pass_on()

    def _count(self, group: int, attempt: str, work: Work) -> None:
        attempts = self._attempts.setdefault(group, {})
        if not attempts:
            self._groups["waiting"] -= 1
            self._groups["running"] += 1
        elif attempt not in attempts:
            self._untold["retries"] += 1
        more = work.since(attempts.get(attempt, Work()))
        attempts[attempt] = work
        self._untold["model_epochs"] += more.epochs * self._models[group]
        self._untold["bytes"] += more.bytes
        for stage, value in more.seconds.items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + value

    def _end(self, group: int, state: str) -> None:
        self._groups["running" if self._attempts.pop(group, None) else "waiting"] -= 1
        self._groups[state] += 1
        self._over.add(group)
