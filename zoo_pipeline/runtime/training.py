"""The training job: every group that is not there yet is trained in a task and published by it."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from zoo_pipeline.data import Dataset
from zoo_pipeline.datasets import PlannedDataset
from zoo_pipeline.errors import DataError, UnfinishedError, ZooError
from zoo_pipeline.plan import Group, Plan
from zoo_pipeline.runtime.account import Account, GroupFailure, GroupWork
from zoo_pipeline.runtime.engine_choice import choose_engine, engine_of, members_of, overruled
from zoo_pipeline.runtime.executor import DATASET, Executor
from zoo_pipeline.runtime.group_task import GroupTask, train_and_publish
from zoo_pipeline.runtime.progress import tell_line
from zoo_pipeline.store.commit import ShardRecord, describe_range, published
from zoo_pipeline.store.groups import complete
from zoo_pipeline.store.pulse import FIRST, LAST, pulse
from zoo_pipeline.store.rundir import ENGINE, RunDirectory
from zoo_pipeline.task_memory import reading_bytes, task_bytes

VERIFYING_THREADS = 8  # footers and hashes of shards that are already there; waits for disks and networks


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


def train_zoo(plan: Plan, dataset: Dataset | PlannedDataset, run: RunDirectory, executor: Executor) -> TrainingReport:
    """Train what is missing of a claimed run, and declare it complete if nothing failed.

    A planned dataset is read by a worker that has it, and does not pass through this process then.

    Raises:
        ZooError: the run cannot be written or its data differ; ranges published before it stay.
    """
    started = time.perf_counter()
    missing, records = _split_done(plan, run)
    begun = run.files.exists(ENGINE)
    # Nothing is chosen for a run that has been computed: engine.json would say what is not so.
    data = _kept(plan, dataset, executor) if missing else dataset
    engine = run.engine(lambda: choose_engine(plan, data, executor)) if missing else {}
    if missing and begun and (line := overruled(plan, engine)):
        tell_line("training", line)
    diverged = 0
    # What was planned; resized images have a hash of their own.
    content = dataset.content_sha256 if plan.config.zoo.model.image_side else plan.facts.content_sha256 or ""
    begins = _begins(run) if missing else FIRST
    tasks = [_task(plan, run, group, engine, content) for group in (missing if begins == FIRST else missing[::-1])]
    account = Account(plan, run, missing, executor.meter, begins)
    with account.open(), executor.listening(account.hear) as tell:
        for outcome in executor.map_unordered(train_and_publish, tasks, data, tell, memory_bytes=task_bytes(plan)):
            # What concerns all groups, as a full disk does, ends the run; a worker that dies concerns its group.
            if isinstance(outcome.error, ZooError) and not isinstance(outcome.error, UnfinishedError):
                raise outcome.error
            if outcome.error is not None:
                account.failed(outcome.item.group, outcome.error)
                continue
            account.done(outcome.item.group, outcome.value)
            records += outcome.value.records
            diverged += outcome.value.diverged
    if not account.failures:
        complete(run, plan, records)
    return TrainingReport(
        trained=len(account.works),
        found=len(plan.groups) - len(missing) + account.found,
        diverged_models=diverged,
        failures=tuple(account.failures),
        groups=tuple(sorted(account.works, key=lambda work: work.group)),
        engine=engine,
        wall_s=time.perf_counter() - started,
    )


def _kept(plan: Plan, dataset: Dataset | PlannedDataset, executor: Executor) -> Any:
    """The dataset, where it is small, or what the executor keeps of it."""
    if isinstance(dataset, Dataset):
        return executor.share(dataset)
    try:
        return executor.keep(DATASET, dataset.load, memory_bytes=reading_bytes(plan))
    except DataError as error:  # not there on that machine, or another one
        tell_line(DATASET, f"is handed over by this process, since a worker says: {error}")
        return executor.share(dataset.load())


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


def _begins(run: RunDirectory) -> str:
    """Which group is first: beside another driver the other end, so that the two meet and do not go side by side."""
    said = pulse(run)
    if said is None or said["lost"]:
        return FIRST
    begins = FIRST if said["begins"] == LAST else LAST
    told = f"{said['driver']} was at work here {said['age_s']:.0f} s ago"
    tell_line("training", f"{told}; beginning with the {begins} group, where it did not")
    return begins


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
