"""One task of an export: it reads a shard, and publishes the files made of it."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from zoo_pipeline.exporting import hub, trials
from zoo_pipeline.exporting.rows import Layouts, row_groups
from zoo_pipeline.exporting.selection import ChosenRows
from zoo_pipeline.exporting.states import encode_safetensors, encode_torch, states_of
from zoo_pipeline.exporting.target import SUFFIX_OF, Target
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.schema import ROW_GROUP_BYTES
from zoo_pipeline.store.shards import open_shard

WRITING_THREADS = 8  # of one task: each file is synced, and that is waited for
MOST_WAITING = 64  # files that are made and not written yet


@dataclass(frozen=True)
class Job:
    """What all tasks of an export share.

    Attributes:
        run: the run's root.
        target: where to write, and how.
        spec: the content of spec.json.
        layouts: of the vectors.
        scalars: the other columns of checkpoints that go out.
        models: models.parquet; None where the format does without.
        replace: whether the one file may take another's place.
    """

    run: str
    target: Target
    spec: dict[str, Any]
    layouts: Layouts
    scalars: tuple[pa.Field, ...]
    models: pa.Table | None
    replace: bool = False


@dataclass(frozen=True)
class TrialFiles:
    """The small files of the trials of one group's models: all their epochs, from all its shards."""

    models: tuple[int, ...]
    shards: tuple[tuple[str, int | None], ...]


Item = ChosenRows | hub.DataFile | TrialFiles


def write_item(item: Item, job: Job, *, device: str) -> tuple[int, int]:  # noqa: ARG001  (as executors call it)
    """Write the files of one item: how many, and their bytes."""
    files = Files(job.target.root)
    if isinstance(item, hub.DataFile):
        return _write_data_file(files, item, job)
    if isinstance(item, TrialFiles):
        return _publish_all(files, _trial_files(item, job))
    return _publish_all(files, _state_files(item, job), replace=job.replace and job.target.file is not None)


def _state_files(part: ChosenRows, job: Job) -> Iterator[tuple[str, bytes]]:
    """Name and content of the file of every checkpoint."""
    target, spec = job.target, job.spec
    seeds = _seeds(job.models)
    by_step = iter(part.by_step.tolist())
    for table in row_groups(Files(job.run), part):
        for model_id, epoch, step, state in states_of(job.layouts, table):
            if target.format == "safetensors":
                about = {"model_id": model_id, "epoch": epoch, "step": step, "name": spec["name"]}
                data = encode_safetensors(state, {**about, "spec_hash": spec["spec_hash"]})
            else:
                data = encode_torch(state)
            if target.format == "model-zoos":
                name = f"{trials.trial_name(model_id, seeds.get(model_id), spec)}/{trials.checkpoint_name(epoch)}"
            else:
                times = [f"epoch-{epoch:04d}"] if epoch >= 0 else []
                times += [f"step-{step:06d}"] if next(by_step) and step >= 0 else []
                moment = "-".join(times) or "checkpoint"  # which an import, too, takes for one of an unknown moment
                name = target.file or f"model-{model_id:05d}/{moment}{SUFFIX_OF[target.format]}"
            yield name, data


def _trial_files(item: TrialFiles, job: Job) -> Iterator[tuple[str, bytes]]:
    """The small files of each trial."""
    assert job.models is not None
    seeds, tables = _seeds(job.models), []
    for name, size in item.shards:
        with open_shard(Files(job.run), name, size=size) as shard:
            there = [field.name for field in job.scalars if field.name in shard.schema_arrow.names]
            tables.append(shard.read(columns=there, use_threads=False))
    rows = pa.concat_tables(tables, promote_options="permissive")
    for model in job.models.filter(pc.is_in(job.models["model_id"], pa.array(item.models, pa.int32()))).to_pylist():
        model_id = model["model_id"]
        config = trials.params(model, job.spec)
        own = rows.filter(pc.equal(rows["model_id"], model_id)).sort_by("epoch")
        found = trials.results(model_id, own, config, job.spec)
        folder = trials.trial_name(model_id, seeds.get(model_id), job.spec)
        yield f"{folder}/{trials.PARAMS}", trials.config_json(config)
        yield f"{folder}/{trials.RESULT}", trials.result_json(found)
        yield f"{folder}/{trials.PROGRESS}", trials.progress_csv(found)


def _write_data_file(files: Files, item: hub.DataFile, job: Job) -> tuple[int, int]:
    assert job.models is not None
    models, schema, run = job.models, hub.hub_schema(job.models.schema, job.layouts, job.scalars), Files(job.run)
    tables = (hub.joined(table, models, schema) for part in item.parts for table in row_groups(run, part, job.scalars))
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for piece in hub.parquet_bytes(schema, tables):
            size += len(piece)
            yield piece

    files.publish_stream(item.name, counted())
    return 1, size


def _publish_all(files: Files, named: Iterable[tuple[str, bytes]], *, replace: bool = False) -> tuple[int, int]:
    """Publish small files, several at a time: each is synced, and that is waited for."""
    count = size = held = 0
    pending: deque[tuple[Future[Any], int]] = deque()
    with ThreadPoolExecutor(WRITING_THREADS) as pool:
        for name, data in named:
            pending.append((pool.submit(files.replace if replace else files.publish, name, data), len(data)))
            count, size, held = count + 1, size + len(data), held + len(data)
            while held > ROW_GROUP_BYTES or len(pending) > MOST_WAITING:  # no more of them in memory
                future, given_back = pending.popleft()
                future.result()
                held -= given_back
        for future, _ in pending:
            future.result()
    return count, size


def _seeds(models: pa.Table | None) -> dict[int, int]:
    if models is None or "seed" not in models.column_names or not pa.types.is_integer(models["seed"].type):
        return {}
    return dict(zip(models["model_id"].to_pylist(), models["seed"].to_pylist(), strict=True))
