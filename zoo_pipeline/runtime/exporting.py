"""The export job: shards are independent, so each is a task that reads it and publishes the files made of it."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zoo_pipeline.exporting import hub, trials
from zoo_pipeline.exporting.card import CARD, UNKNOWN, Facts, Split, card
from zoo_pipeline.exporting.rows import Layouts, layouts_of, row_groups
from zoo_pipeline.exporting.selection import Contents, Part
from zoo_pipeline.exporting.states import encode_safetensors, encode_torch, states_of
from zoo_pipeline.exporting.target import SUFFIX_OF, Target, claim, finish
from zoo_pipeline.ranges import group_of
from zoo_pipeline.runtime.executor import Executor
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.schema import ROW_GROUP_BYTES, SCALAR_NAMES
from zoo_pipeline.store.shards import open_shard, read_footer
from zoo_pipeline.zoo import Zoo

READING_THREADS = 8  # of ids in shards, and of small files being written: waits for disks and networks
TASK_BYTES = 8 * ROW_GROUP_BYTES


@dataclass(frozen=True)
class Job:
    """What all tasks of an export share.

    Attributes:
        run: the run's root.
        target: where to write, and how.
        spec: the content of spec.json.
        layouts: of the vectors.
        models: models.parquet; None where the format does without.
        replace: whether the one file may take another's place.
    """

    run: str
    target: Target
    spec: dict[str, Any]
    layouts: Layouts
    models: pa.Table | None
    replace: bool = False


@dataclass(frozen=True)
class TrialFiles:
    """The small files of the trials of one group's models: all their epochs, from all its shards."""

    models: tuple[int, ...]
    shards: tuple[tuple[str, int | None], ...]


Item = Part | hub.DataFile | TrialFiles


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote."""

    target: Target
    checkpoints: int
    models: int
    files: int
    written_bytes: int
    wall_s: float


def contents_of(zoo: Zoo) -> list[Contents]:
    """The models and epochs in each shard of a run.

    Raises:
        StoreError: one cannot be read.
    """

    def look(name: str, size: int | None) -> Contents:
        buffers = read_footer(zoo.files, name, size)["buffers"] or {}
        with open_shard(zoo.files, name, size=size) as shard:
            ids = shard.read(columns=["model_id", "epoch"], use_threads=False)
        model_id, epoch = (ids[column].to_numpy() for column in ("model_id", "epoch"))
        return Contents(name, size, buffers.get("file"), buffers.get("bytes"), model_id, epoch)

    with ThreadPoolExecutor(READING_THREADS) as pool:
        return list(pool.map(look, *zip(*zoo.shards.items(), strict=True)))


def export(
    zoo: Zoo,
    parts: Sequence[Part],
    target: Target,
    executor: Executor,
    *,
    models: pa.Table | None,
    overwrite: bool = False,
    license: str | None = None,
) -> ExportReport:
    """Write the chosen checkpoints of a run to a checked target.

    Args:
        zoo: the run.
        parts: what of it.
        target: where, and how.
        executor: who does it.
        models: models.parquet, which `hub` and `model-zoos` need.
        overwrite: replace what is there.
        license: of a dataset; None for unknown.

    Raises:
        StoreError: the run cannot be read or the target not be written; no file is there in part then.
    """
    started = time.perf_counter()
    job = Job(zoo.root, target, zoo.spec, layouts_of(zoo.files, parts[0]), models, replace=overwrite)
    items = _items(zoo, parts, job)
    checkpoints = sum(len(part.rows) for part in parts)
    about = {
        "format": target.format,
        "name": zoo.spec["name"],
        "spec_hash": zoo.spec["spec_hash"],
        "checkpoints": checkpoints,
    }
    files = Files(target.root)
    if target.file is None:
        claim(files, about, overwrite=overwrite)
    written: list[tuple[int, int]] = []
    for outcome in executor.map_unordered(write_item, items, job, memory_bytes=TASK_BYTES):
        if outcome.error is not None:
            raise outcome.error
        written.append(outcome.value)
    if target.format == "hub":
        written.append(_publish(files, CARD, card(_facts(zoo, parts, items, job, license)).encode()))
    if target.format == "model-zoos" and models is not None:
        configs = [trials.params(row, zoo.spec) for row in _rows_of(models, parts)]
        written.append(_publish(files, trials.CONFIG, trials.config_json(trials.experiment_config(configs))))
    if target.file is None:
        finish(files, about)
    return ExportReport(
        target=target,
        checkpoints=checkpoints,
        models=len(_models_of(parts)),
        files=sum(count for count, _ in written),
        written_bytes=sum(size for _, size in written),
        wall_s=time.perf_counter() - started,
    )


def write_item(item: Item, job: Job, *, device: str) -> tuple[int, int]:  # noqa: ARG001  (as executors call it)
    """Write the files of one item: how many, and their bytes."""
    files = Files(job.target.root)
    if isinstance(item, hub.DataFile):
        return _write_data_file(files, item, job)
    if isinstance(item, TrialFiles):
        return _publish_all(files, _trial_files(item, job))
    return _publish_all(files, _state_files(item, job), replace=job.replace and job.target.file is not None)


def _items(zoo: Zoo, parts: Sequence[Part], job: Job) -> list[Item]:
    if job.target.format == "hub":
        assert job.models is not None
        dimension = sum(layout.dimension for layout in (job.layouts.weights, job.layouts.buffers) if layout)
        return list(hub.data_files(parts, job.models, dimension))
    if job.target.format != "model-zoos":
        return list(parts)
    chosen: dict[str, set[int]] = {}
    for part in parts:
        chosen.setdefault(group_of(part.contents.shard), set()).update(part.models.tolist())
    shards: dict[str, list[tuple[str, int | None]]] = {}
    for name, size in zoo.shards.items():
        shards.setdefault(group_of(name), []).append((name, size))
    small = [TrialFiles(tuple(sorted(ids)), tuple(shards[group])) for group, ids in chosen.items()]
    return [*parts, *small]


def _state_files(part: Part, job: Job) -> Iterator[tuple[str, bytes]]:
    """Name and content of the file of every checkpoint."""
    target, spec = job.target, job.spec
    seeds = _seeds(job.models)
    for table in row_groups(Files(job.run), part):
        for model_id, epoch, state in states_of(job.layouts, table):
            if target.format == "safetensors":
                about = {"model_id": model_id, "epoch": epoch, "name": spec["name"], "spec_hash": spec["spec_hash"]}
                data = encode_safetensors(state, {key: str(value) for key, value in about.items()})
            else:
                data = encode_torch(state)
            if target.format == "model-zoos":
                name = f"{trials.trial_name(model_id, seeds.get(model_id), spec)}/{trials.checkpoint_name(epoch)}"
            else:
                name = target.file or f"model-{model_id:05d}/epoch-{epoch:04d}{SUFFIX_OF[target.format]}"
            yield name, data


def _trial_files(item: TrialFiles, job: Job) -> Iterator[tuple[str, bytes]]:
    """The small files of each trial."""
    assert job.models is not None
    seeds, tables = _seeds(job.models), []
    for name, size in item.shards:
        with open_shard(Files(job.run), name, size=size) as shard:
            tables.append(shard.read(columns=SCALAR_NAMES, use_threads=False))
    rows = pa.concat_tables(tables)
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
    models, schema, run = job.models, hub.hub_schema(job.models.schema, job.layouts), Files(job.run)
    tables = (hub.joined(table, models, schema) for part in item.parts for table in row_groups(run, part))
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
    count = size = 0
    with ThreadPoolExecutor(READING_THREADS) as pool:
        pending = []
        for name, data in named:
            pending.append(pool.submit(files.replace if replace else files.publish, name, data))
            count, size = count + 1, size + len(data)
            if len(pending) >= 4 * READING_THREADS:  # no more of them in memory
                pending.pop(0).result()
        for future in pending:
            future.result()
    return count, size


def _publish(files: Files, name: str, data: bytes) -> tuple[int, int]:
    files.publish(name, data)
    return 1, len(data)


def _facts(zoo: Zoo, parts: Sequence[Part], items: Sequence[Item], job: Job, license: str | None) -> Facts:
    assert job.models is not None
    splits: dict[str, Split] = {}
    found = [item for item in items if isinstance(item, hub.DataFile)]
    for split in dict.fromkeys(item.split for item in found):
        own = [item for item in found if item.split == split]
        splits[split] = Split(
            models=len(_models_of([part for item in own for part in item.parts])),
            rows=sum(item.rows for item in own),
            files=len(own),
        )
    epochs = np.concatenate([part.contents.epoch[part.rows] for part in parts])
    return Facts(
        spec=zoo.spec,
        schema=hub.hub_schema(job.models.schema, job.layouts),
        layouts=job.layouts,
        splits=splits,
        epochs=(int(epochs.min()), int(epochs.max())),
        complete=len(epochs) == zoo.spec.get("checkpoints"),
        license=license or UNKNOWN,
    )


def _models_of(parts: Sequence[Part]) -> set[int]:
    return {model_id for part in parts for model_id in part.models.tolist()}


def _rows_of(models: pa.Table, parts: Sequence[Part]) -> list[dict[str, Any]]:
    chosen = pa.array(sorted(_models_of(parts)), pa.int32())
    found: list[dict[str, Any]] = models.filter(pc.is_in(models["model_id"], chosen)).to_pylist()
    return found


def _seeds(models: pa.Table | None) -> dict[int, int]:
    if models is None or "seed" not in models.column_names:
        return {}
    return dict(zip(models["model_id"].to_pylist(), models["seed"].to_pylist(), strict=True))
