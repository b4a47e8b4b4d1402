"""What a worker does: train what is missing of one group, and publish it range by range."""

import os
import platform
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import Dataset
from zoo_pipeline.errors import DataError, StoreError, UnreachableError
from zoo_pipeline.models import Layout
from zoo_pipeline.plan import Group
from zoo_pipeline.ranges import EpochRange
from zoo_pipeline.runtime.log import task_log, tell_group
from zoo_pipeline.runtime.pace import Pace
from zoo_pipeline.runtime.progress import GroupNews, GroupNote, Work
from zoo_pipeline.runtime.threads import torch_threads
from zoo_pipeline.stopwatch import Stopwatch
from zoo_pipeline.store.commit import Footer, ShardRecord, describe_range, publish_range, published, sweep
from zoo_pipeline.store.rows import RangeRows
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.states import (
    Arrays,
    Origin,
    StateName,
    TrainingState,
    keep_latest,
    latest_state,
    publish_state,
    read_state,
)
from zoo_pipeline.training import Engine, GroupTraining, Member

STATE_EVERY_S = 120.0  # so much of a long group's work is lost with its worker, at most
STATE_EVERY_EPOCHS: int | None = None  # or after so many epochs, whichever comes first
TELL_EVERY_S = 2.0

Tell = Callable[[GroupNews | GroupNote], None]


@dataclass(frozen=True)
class GroupTask:
    """All that a worker needs to train one group, besides the dataset."""

    root: str
    group: Group
    architecture: Architecture
    members: tuple[Member, ...]
    spec_hash: str
    dataset_sha256: str
    engine: dict[str, Any]


@dataclass(frozen=True)
class GroupResult:
    """What a task did.

    Attributes:
        records: the manifest lines of the group's shards.
        diverged: how many of its models diverged.
        wall_s: how long it took.
        attempt: its name.
        work: what it did.
    """

    records: tuple[ShardRecord, ...]
    diverged: int
    wall_s: float
    attempt: str
    work: Work

    @property
    def epochs(self) -> int:
        """Passes over the training data that this task trained, also those that others published first."""
        return self.work.epochs


def train_and_publish(
    task: GroupTask, dataset: Dataset, tell: Tell, *, device: str, clock: Callable[[], float] = time.monotonic
) -> GroupResult:
    """Train one group and publish its shards; runs in a worker.

    Memory: the training, a copy of its state while that is saved, and two shards: the range that is being filled, and
    its encoded bytes once it is full. Object stores take a saved state as one more piece of bytes.

    Args:
        task: what to train.
        dataset: what on.
        tell: called now and then with how far the group is, and with what a person should read of it.
        device: torch's name of the device.
        clock: seconds; decides when a state is saved.

    Raises:
        DataError: the dataset that reached the worker is not the one that was planned.
        StoreError: the worker does not see the run, or it cannot be written or gone on with.
    """
    run = RunDirectory(task.root)
    run.check_seen(task.spec_hash)
    if dataset.content_sha256 != task.dataset_sha256:
        raise DataError(
            f"{dataset.name}: content hash {dataset.content_sha256} on this worker, planned {task.dataset_sha256}; "
            f"every worker needs the same data"
        )
    started = clock()
    attempt = _Attempt(task, run, dataset, tell, device, clock)
    with torch_threads(task.engine["threads"]), tell_group(run.root, task.group.number, attempt.name):
        footers = attempt.finish()
    ranges = zip(task.group.ranges, footers, strict=True)
    return GroupResult(
        records=tuple(
            attempt.records.get(part) or describe_range(run, task.group, part, footer) for part, footer in ranges
        ),
        diverged=len({model_id for footer in footers for model_id in footer["diverged"]}),
        wall_s=clock() - started,
        attempt=attempt.name,
        work=attempt.work(),
    )


class _Attempt:
    """One attempt at a group, which may meet what earlier ones left, and others that are still going on.

    Attributes:
        name: machine, process and a few digits.
        records: the manifest lines of the shards that this attempt published.
    """

    def __init__(
        self, task: GroupTask, run: RunDirectory, dataset: Dataset, tell: Tell, device: str, clock: Callable[[], float]
    ) -> None:
        self._task, self._group, self._files = task, task.group, run.files
        self._run, self._dataset, self._tell, self._device = run, dataset, tell, device
        self._saving = Pace(STATE_EVERY_S, STATE_EVERY_EPOCHS, clock)
        self._telling = Pace(TELL_EVERY_S, clock=clock)
        self._watch, self._epochs = Stopwatch(), 0
        self.name = f"{platform.node()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._at: str | None = ""  # sha256 of the state that training is in; empty at its start; None within a range
        self.records: dict[EpochRange, ShardRecord] = {}

    @cached_property
    def _training(self) -> GroupTraining:
        engine = Engine(**self._task.engine)
        with self._watch.timing("start"):
            return GroupTraining(self._task.architecture, self._task.members, self._dataset, engine, self._device)

    def work(self) -> Work:
        """What this attempt has done so far."""
        written = sum(record.bytes + (record.buffers or {"bytes": 0})["bytes"] for record in self.records.values())
        return Work(self._epochs, written, self._watch.seconds())

    def finish(self) -> list[Footer]:
        """Train range after range until all are there; returns their footers.

        Whose shard of a range is there decides how everybody goes on, so one looks again after every range.
        """
        footers: list[Footer] = []
        while True:
            footers = published(self._run, self._group, self._task.spec_hash, footers)
            sweep(self._run, self._group, footers)
            if len(footers) == len(self._group.ranges):
                return footers
            part = self._group.ranges[len(footers)]
            origin = Origin(
                group=self._group.number,
                spec_hash=self._task.spec_hash,
                engine=self._task.engine,
                range_first=part.first,
                start_state=footers[-1]["ends_in"] if footers else "",
            )
            self._train(part, origin)

    def _train(self, part: EpochRange, origin: Origin) -> None:
        """Train one range and publish it, unless another attempt was faster."""
        rows = self._start(part, origin)
        if rows is not None:
            self._fill(rows, part, origin)
            self._publish(rows, part, origin)

    def _start(self, part: EpochRange, origin: Origin) -> RangeRows | None:
        """Bring training to where a range goes on, and return its rows so far; None: another attempt was faster."""
        rows = RangeRows(
            models=len(self._group.models),
            first=part.first,
            epochs=part.epochs,
            dimension=self._task.architecture.dimension,
            buffers=Layout.of(self._task.architecture.buffers).dimension,
        )
        saved = latest_state(self._files, origin, part.last, self._tell_damaged)
        if saved is not None:
            self._restore(saved)
            rows.resume(saved.rows)
        elif self._at != origin.start_state:
            state = self._state_before(part, origin)
            if state is None:
                return None
            self._restore(state)
        self._say("group begun" if not rows.filled and not part.first else "group gone on with")
        return rows

    def _state_before(self, part: EpochRange, origin: Origin) -> TrainingState | None:
        """The state that a range starts from; None where it is gone because the range's shard is there by now."""
        name = StateName(self._group.number, part.first - 1, origin.start_state[:12])
        try:
            return read_state(self._files, name, origin.start_state)
        except UnreachableError:
            raise  # which says nothing about the state
        except StoreError as error:
            if self._files.exists(part.shard):
                return None
            raise StoreError(
                f"{error}; {part.shard} cannot be trained without it: move all shards of group {self._group.number} "
                f"away and run zoo train again with --resume"
            ) from None

    def _tell_damaged(self, fault: str) -> None:
        text = f"{fault}; removed, training goes on from what there is before it"
        self._tell(GroupNote(self._group.number, text, self.name))

    def _say(self, event: str = "") -> None:
        """Tell how far the group is, and what has happened."""
        epoch = self._training.epoch
        if event:
            task_log(event, epoch=epoch)
        self._tell(GroupNews(self._group.number, epoch, self.name, event, self.work()))

    def _restore(self, state: TrainingState) -> None:
        self._at = None
        self._training.restore(state.epoch, {name: array.copy() for name, array in state.arrays.items()})

    def _fill(self, rows: RangeRows, part: EpochRange, origin: Origin) -> None:
        """Train to the end of a range, and save the state on the way where that takes long."""
        self._at = None
        if part.first == rows.filled == 0:
            self._add(rows)
        while self._training.epoch < part.last:
            with self._watch.timing("train"):
                self._training.advance()
                self._add(rows)
            self._epochs += 1
            if self._telling.due():
                self._say()
            if self._training.epoch < part.last and self._saving.due():
                self._save(origin, rows.so_far())
                keep_latest(self._files, origin, part.last)
                self._say("state saved")

    def _add(self, rows: RangeRows) -> None:
        checkpoint = self._training.checkpoint()
        rows.add(checkpoint.step, checkpoint.weights, checkpoint.metrics, checkpoint.buffers)

    def _publish(self, rows: RangeRows, part: EpochRange, origin: Origin) -> None:
        """Publish the state at the end of a range, where training goes on, and then its shard."""
        self._at = "" if part == self._group.ranges[-1] else self._save(origin, {})
        record = publish_range(self._run, self._group, origin, self._at, rows, self._task.architecture, self._watch)
        if record is not None:
            self.records[part] = record
        self._say("shard published" if record is not None else "shard was there")

    def _save(self, origin: Origin, rows: Arrays) -> str:
        with self._watch.timing("state"):
            return publish_state(self._files, TrainingState(origin, self._training.epoch, self._training.state(), rows))
