"""The export job: which rows of a run become which files, who writes them, and what is said of them last."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from zoo_pipeline.counts import plural
from zoo_pipeline.errors import StoreError
from zoo_pipeline.exporting import hub, trials
from zoo_pipeline.exporting.card import CARD, UNKNOWN, Facts, SplitSize, card
from zoo_pipeline.exporting.rows import layouts_of
from zoo_pipeline.exporting.selection import ChosenRows, Contents
from zoo_pipeline.exporting.target import Target, claim, finish
from zoo_pipeline.ranges import group_of
from zoo_pipeline.runtime.executor import EXPORT, Executor
from zoo_pipeline.runtime.export_tally import ExportTally
from zoo_pipeline.runtime.export_task import Item, Job, TrialFiles, write_item
from zoo_pipeline.runtime.progress import shown
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.schema import ROW_GROUP_BYTES, SCALARS, VALIDATION, VALIDATION_NAMES
from zoo_pipeline.store.shards import open_shard, read_footer
from zoo_pipeline.zoo import Zoo

READING_THREADS = 8  # of ids in shards: waits for disks and networks
_IDS = ("model_id", "epoch", "step")
TASK_ROW_GROUPS = 10  # that a task may have in memory, encoded ones among them


@dataclass(frozen=True)
class ExportReport:
    """What an export wrote."""

    target: Target
    checkpoints: int
    models: int
    files: int
    written_bytes: int
    wall_s: float
    copies: int = 0  # chosen checkpoints that are exact copies of others, and were left out


def contents_of(zoo: Zoo) -> list[Contents]:
    """The models and epochs in each shard of a run.

    Raises:
        StoreError: one cannot be read.
    """

    def look(name: str, size: int | None) -> Contents:
        buffers = read_footer(zoo.files, name, size)["buffers"] or {}
        with open_shard(zoo.files, name, size=size) as shard:
            kinds = dict(zip(shard.schema_arrow.names, shard.schema_arrow.types, strict=True))
            validation = [name for name in VALIDATION_NAMES if name in kinds and pa.types.is_floating(kinds[name])]
            ids = shard.read(columns=list(_IDS), use_threads=False)
        if any(column.null_count for column in ids.columns):
            raise StoreError(f"{zoo.files.at(name)}: {', '.join(_IDS)}: holds nulls, expected numbers; run zoo verify")
        model_id, epoch, step = (ids[column].to_numpy() for column in _IDS)
        place, needed = buffers.get("file"), buffers.get("bytes")
        return Contents(name, size, place, needed, model_id, epoch, step, frozenset(validation))

    with ThreadPoolExecutor(READING_THREADS) as pool:
        return list(pool.map(look, *zip(*zoo.shard_sizes.items(), strict=True)))


def checked_models(models: pa.Table, root: str) -> pa.Table:
    """models.parquet, whose one column that exports cannot do without is there.

    Raises:
        StoreError: `model_id` is missing, of another type, or holds nulls.
    """
    column = models["model_id"] if "model_id" in models.column_names else None
    if column is None or column.type != pa.int32() or column.null_count:
        found = "missing" if column is None else f"{column.type} with {plural(column.null_count, 'null')}"
        raise StoreError(f"{root}: models.parquet: model_id is {found}, expected int32; docs/format.md has the columns")
    return models


def export(
    zoo: Zoo,
    parts: Sequence[ChosenRows],
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
    measured = frozenset[str]().union(*(part.contents.validation for part in parts))
    scalars = (*SCALARS, *(field for field in VALIDATION if field.name in measured))
    job = Job(zoo.root, target, zoo.spec, layouts_of(zoo.files, parts[0]), scalars, models, replace=overwrite)
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
    memory_bytes = TASK_ROW_GROUPS * max(ROW_GROUP_BYTES, 4 * job.layouts.weights.dimension)
    tally = ExportTally(checkpoints)
    with shown(EXPORT, tally) if target.file is None else nullcontext():
        for outcome in executor.map_unordered(write_item, items, job, memory_bytes=memory_bytes, work=EXPORT):
            if outcome.error is not None:
                raise outcome.error
            written.append(outcome.value)
            tally.done += _rows_in(outcome.item)
            tally.files += outcome.value[0]
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


def _items(zoo: Zoo, parts: Sequence[ChosenRows], job: Job) -> list[Item]:
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
    for name, size in zoo.shard_sizes.items():
        shards.setdefault(group_of(name), []).append((name, size))
    small = [TrialFiles(tuple(sorted(ids)), tuple(shards[group])) for group, ids in chosen.items()]
    return [*parts, *small]


def _rows_in(item: Item) -> int:
    """The checkpoints that an item writes."""
    match item:
        case ChosenRows():
            return len(item.rows)
        case hub.DataFile():
            return item.rows
        case TrialFiles():
            return 0


def _publish(files: Files, name: str, data: bytes) -> tuple[int, int]:
    files.publish(name, data)
    return 1, len(data)


def _facts(zoo: Zoo, parts: Sequence[ChosenRows], items: Sequence[Item], job: Job, license: str | None) -> Facts:
    assert job.models is not None
    splits: dict[str, SplitSize] = {}
    found = [item for item in items if isinstance(item, hub.DataFile)]
    for split in dict.fromkeys(item.split for item in found):
        own = [item for item in found if item.split == split]
        splits[split] = SplitSize(
            models=len(_models_of([part for item in own for part in item.parts])),
            rows=sum(item.rows for item in own),
            files=len(own),
        )
    epochs = np.concatenate([part.contents.epoch[part.rows] for part in parts])
    known = epochs[epochs >= 0] if (epochs >= 0).any() else epochs
    return Facts(
        spec=zoo.spec,
        schema=hub.hub_schema(job.models.schema, job.layouts, job.scalars),
        layouts=job.layouts,
        splits=splits,
        epochs=(int(known.min()), int(known.max())),
        complete=len(epochs) == zoo.spec.get("checkpoints"),
        license=license or UNKNOWN,
    )


def _models_of(parts: Sequence[ChosenRows]) -> set[int]:
    return {model_id for part in parts for model_id in part.models.tolist()}


def _rows_of(models: pa.Table, parts: Sequence[ChosenRows]) -> list[dict[str, Any]]:
    chosen = pa.array(sorted(_models_of(parts)), pa.int32())
    found: list[dict[str, Any]] = models.filter(pc.is_in(models["model_id"], chosen)).to_pylist()
    return found
