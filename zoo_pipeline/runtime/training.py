"""The training job: every group that is not there yet is trained in a task and published by it."""

import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo_pipeline.architecture import CNNS, Architecture
from zoo_pipeline.data import Dataset
from zoo_pipeline.errors import DataError, ZooError
from zoo_pipeline.models import Layout
from zoo_pipeline.plan import Group, Plan
from zoo_pipeline.runtime.executor import Executor
from zoo_pipeline.runtime.progress import progress
from zoo_pipeline.runtime.threads import torch_threads
from zoo_pipeline.store.groups import ShardRecord, complete, describe_group, done, publish_group
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.shards import shard_table
from zoo_pipeline.training import Engine, Member, train_group

VERIFYING_THREADS = 8  # footers and hashes of shards that are already there; waits for disks and networks


@dataclass(frozen=True)
class GroupTask:
    """All that a worker needs to train one group, besides the dataset."""

    root: str
    group: Group
    architecture: Architecture
    spec_hash: str
    dataset_sha256: str
    engine: dict[str, Any]


@dataclass(frozen=True)
class GroupFailure:
    """A group that could not be trained, and the traceback of why."""

    group: int
    message: str
    traceback: str


@dataclass(frozen=True)
class TrainingReport:
    """What one call of `train_zoo` did."""

    trained: int
    found: int
    diverged_models: int
    failures: tuple[GroupFailure, ...]
    wall_s: float
    model_epochs_per_s: float


def train_zoo(plan: Plan, dataset: Dataset, run: RunDirectory, executor: Executor) -> TrainingReport:
    """Train what is missing of a claimed run, and declare it complete if nothing failed.

    Raises:
        ZooError: the run cannot be written or its data differ; groups published before it stay.
    """
    started = time.perf_counter()
    engine = run.engine(engine_choices(plan))
    missing, records = _split_done(plan, run)
    found = len(records)
    failures: list[GroupFailure] = []
    diverged = 0
    tasks = [_task(plan, run, group, engine) for group in missing]
    with progress("training", sum(group.rows for group in missing), "checkpoints") as advance:
        for outcome in executor.map_unordered(train_and_publish, tasks, dataset):
            group = outcome.item.group
            if isinstance(outcome.error, ZooError):
                raise outcome.error
            if outcome.error is not None:
                failures.append(_failure(group, outcome.error))
            else:
                records.append(ShardRecord(**outcome.value["record"]))
                diverged += outcome.value["diverged"]
            advance(group.rows)
    if not failures:
        complete(run, plan, records)
    wall_s = time.perf_counter() - started
    model_epochs = sum(len(group.models) for group in missing) * plan.epochs
    return TrainingReport(
        trained=len(missing) - len(failures),
        found=found,
        diverged_models=diverged,
        failures=tuple(failures),
        wall_s=wall_s,
        model_epochs_per_s=model_epochs / wall_s,
    )


def train_and_publish(task: GroupTask, dataset: Dataset, *, device: str) -> dict[str, Any]:
    """Train one group and publish its shard; runs in a worker.

    Returns:
        A small dictionary: `record` (the manifest line) and `diverged` (a number of models).

    Raises:
        DataError: the dataset that reached the worker is not the one that was planned.
        StoreError: the worker does not see the run, or the shard cannot be written.
    """
    run = RunDirectory(task.root)
    run.check_seen(task.spec_hash)
    if dataset.content_sha256 != task.dataset_sha256:
        raise DataError(
            f"{dataset.name}: content hash {dataset.content_sha256} on this worker, planned {task.dataset_sha256}; "
            f"every worker needs the same data"
        )
    models = task.group.models
    with torch_threads(task.engine["threads"]):
        history = train_group(
            task.architecture,
            [Member(model.seed, model.hyperparameters) for model in models],
            dataset,
            engine=Engine(**task.engine),
            device=device,
        )
    model_ids = np.array([model.model_id for model in models], dtype=np.int32)
    diverged = model_ids[history.diverged]
    footer = {
        "group": task.group.number,
        "spec_hash": task.spec_hash,
        "rows": task.group.rows,
        "diverged": diverged.tolist(),
    }
    layout = Layout.of(task.architecture.tensors)
    table = shard_table(model_ids, history.steps, history.metrics, history.weights, layout, footer)
    record = publish_group(run, task.group, task.spec_hash, table)
    return {"record": record.__dict__, "diverged": len(diverged)}


def engine_choices(plan: Plan) -> dict[str, Any]:
    """How tasks compute: threads per task, and how many models to stack (null: the whole group).

    On a CPU a stack of CNNs is slower than one CNN after another: vmap makes grouped convolutions of them.
    """
    resources = plan.config.resources
    one_by_one = plan.architecture.name in CNNS and not resources.num_gpus
    return {"threads": resources.threads, "stack": 1 if one_by_one else None}


def _split_done(plan: Plan, run: RunDirectory) -> tuple[list[Group], list[ShardRecord]]:
    """The groups still to be trained, and the manifest lines of those that are there."""
    with ThreadPoolExecutor(VERIFYING_THREADS) as pool:
        flags = list(pool.map(lambda group: done(run, group, plan.spec_hash), plan.groups))
        finished = [group for group, flag in zip(plan.groups, flags, strict=True) if flag]
        records = list(pool.map(lambda group: describe_group(run, group), finished))
    return [group for group, flag in zip(plan.groups, flags, strict=True) if not flag], records


def _task(plan: Plan, run: RunDirectory, group: Group, engine: dict[str, Any]) -> GroupTask:
    return GroupTask(
        root=run.root,
        group=group,
        architecture=plan.architecture,
        spec_hash=plan.spec_hash,
        dataset_sha256=plan.facts.content_sha256 or "",
        engine=engine,
    )


def _failure(group: Group, error: Exception) -> GroupFailure:
    lines: Sequence[str] = traceback.format_exception(error)
    return GroupFailure(group.number, f"{type(error).__name__}: {error}".splitlines()[0], "".join(lines))
