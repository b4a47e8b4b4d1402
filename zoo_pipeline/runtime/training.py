"""The training job: every group that is not there yet is trained in a task and published by it."""

import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from zoo_pipeline.data import Dataset
from zoo_pipeline.errors import ZooError
from zoo_pipeline.plan import Group, Plan
from zoo_pipeline.runtime.engine_choice import choose_engine, engine_of, members_of, overruled
from zoo_pipeline.runtime.executor import Executor
from zoo_pipeline.runtime.group_task import GroupResult, GroupTask, train_and_publish
from zoo_pipeline.runtime.progress import GroupNews, GroupNote, Tally, shown, tell_line
from zoo_pipeline.store.commit import ShardRecord, describe_range, published
from zoo_pipeline.store.groups import complete
from zoo_pipeline.store.rundir import ENGINE, RunDirectory

VERIFYING_THREADS = 8  # footers and hashes of shards that are already there; waits for disks and networks


@dataclass(frozen=True)
class GroupFailure:
    """A group that could not be trained, and the traceback of why."""

    group: int
    message: str
    traceback: str


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


@dataclass(frozen=True)
class TrainingReport:
    """What one call of `train_zoo` did."""

    trained: int
    found: int
    diverged_models: int
    failures: tuple[GroupFailure, ...]
    groups: tuple[GroupWork, ...]
    engine: dict[str, Any]  # empty where nothing was missing
    wall_s: float

    @property
    def model_epochs_per_s(self) -> float:
        """Throughput of the whole call."""
        return sum(work.models * work.epochs for work in self.groups) / max(self.wall_s, 1e-9)


def train_zoo(plan: Plan, dataset: Dataset, run: RunDirectory, executor: Executor) -> TrainingReport:
    """Train what is missing of a claimed run, and declare it complete if nothing failed.

    Raises:
        ZooError: the run cannot be written or its data differ; ranges published before it stay.
    """
    started = time.perf_counter()
    missing, records = _split_done(plan, run)
    begun = run.files.exists(ENGINE)
    # Nothing is chosen for a run that has been computed: engine.json would say what is not so.
    engine = run.engine(lambda: choose_engine(plan, dataset, executor)) if missing else {}
    if missing and begun and (line := overruled(plan, engine)):
        tell_line("training", line)
    failures: list[GroupFailure] = []
    works: list[GroupWork] = []
    diverged = 0
    # What was planned; resized images have a hash of their own.
    content = dataset.content_sha256 if plan.config.zoo.model.image_side else plan.facts.content_sha256 or ""
    tasks = [_task(plan, run, group, engine, content) for group in missing]
    tally = Tally({group.number: len(group.models) for group in missing}, plan.epochs)
    with shown("training", tally), executor.listening(partial(_hear, tally)) as tell:
        for outcome in executor.map_unordered(train_and_publish, tasks, dataset, tell):
            group = outcome.item.group
            if isinstance(outcome.error, ZooError):
                raise outcome.error
            tally.end(group.number)
            if outcome.error is not None:
                failures.append(_failure(group, outcome.error))
                continue
            result: GroupResult = outcome.value
            records += result.records
            diverged += result.diverged
            retries = tally.retries(group.number)
            works.append(GroupWork(group.number, len(group.models), result.epochs, result.wall_s, retries))
    if not failures:
        complete(run, plan, records)
    return TrainingReport(
        trained=len(works),
        found=len(plan.groups) - len(missing),
        diverged_models=diverged,
        failures=tuple(failures),
        groups=tuple(sorted(works, key=lambda work: work.group)),
        engine=engine,
        wall_s=time.perf_counter() - started,
    )


def _hear(tally: Tally, news: GroupNews | GroupNote) -> None:
    """Take in what a task tells."""
    if isinstance(news, GroupNote):
        tell_line("training", f"group {news.group}: {news.text}")
    else:
        tally.hear(news)


def _split_done(plan: Plan, run: RunDirectory) -> tuple[list[Group], list[ShardRecord]]:
    """The groups still to be trained, wholly or in part, and the manifest lines of those that are there."""

    def look(group: Group) -> list[ShardRecord] | None:
        footers = published(run, group, plan.spec_hash)
        if len(footers) < len(group.ranges):
            return None
        return [describe_range(run, group, part, footer) for part, footer in zip(group.ranges, footers, strict=True)]

    with ThreadPoolExecutor(VERIFYING_THREADS) as pool:
        looked = list(pool.map(look, plan.groups))
    missing = [group for group, records in zip(plan.groups, looked, strict=True) if records is None]
    return missing, [record for records in looked for record in records or ()]


def _task(plan: Plan, run: RunDirectory, group: Group, engine: dict[str, Any], dataset_sha256: str) -> GroupTask:
    return GroupTask(
        root=run.root,
        group=group,
        architecture=plan.architecture,
        members=members_of(group),
        spec_hash=plan.spec_hash,
        dataset_sha256=dataset_sha256,
        engine=engine_of(engine),
    )


def _failure(group: Group, error: Exception) -> GroupFailure:
    lines: Sequence[str] = traceback.format_exception(error)
    return GroupFailure(group.number, f"{type(error).__name__}: {error}".splitlines()[0], "".join(lines))
