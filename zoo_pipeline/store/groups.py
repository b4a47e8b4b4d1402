"""The end of a run: what is made of all its groups together."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from zoo_pipeline.errors import StoreError
from zoo_pipeline.plan import FORMAT_VERSION, Group, Plan
from zoo_pipeline.store.commit import ShardRecord, published
from zoo_pipeline.store.rundir import BUFFERS, CHECKPOINTS, FAILURES, MODELS, PROGRESS, STATES, RunDirectory
from zoo_pipeline.store.schema import METRIC_NAMES, encode_table
from zoo_pipeline.store.schema import MODELS as MODELS_SCHEMA
from zoo_pipeline.store.shards import open_shard

READING_THREADS = 8  # footers and metrics of shards; waits for disks and networks


def complete(run: RunDirectory, plan: Plan, records: list[ShardRecord]) -> None:
    """Write models.parquet and then the manifest, which declares the run complete; remove what is left besides.

    That is: states, failure reports, the pulse of killed drivers, and what killed writers left. What cannot be removed
    stays: the run is complete with it, too, `zoo status` counts the states, and the next call removes them.

    Raises:
        StoreError: a manifest is there that describes other files.
    """
    declare(run, plan.spec_hash, models_table(run, plan), records)


def declare(
    run: RunDirectory, spec_hash: str, models: pa.Table, records: Sequence[ShardRecord], *, again: bool = False
) -> None:
    """Write models.parquet, then the manifest of these shards; arguments and errors as of `complete`.

    `again`: in place of a manifest that is there, of which the shards that are no longer as it says were made again.
    """
    data = encode_table(models)
    sha256 = hashlib.sha256(data).hexdigest()
    if again or run.manifest is None or not run.files.exists(MODELS):
        run.files.replace(MODELS, data)  # without a manifest, what is there is of an attempt that was interrupted
    (run.replace_manifest if again else run.publish_manifest)(
        {
            "format_version": FORMAT_VERSION,
            "spec_hash": spec_hash,
            "checkpoints": sum(record.rows for record in records),
            "models": {
                "file": MODELS,
                "rows": len(models),
                "bytes": len(data),
                "sha256": sha256,
            },
            "shards": [asdict(record) for record in sorted(records, key=lambda record: (record.group, record.range))],
        }
    )
    if run.files.sha256(MODELS) != sha256:  # it was damaged after the manifest
        run.files.replace(MODELS, data)
    present = run.files.names()
    for name in (STATES, FAILURES, PROGRESS):
        with suppress(StoreError):
            if name in present:
                run.files.remove(name)
    for folder in (CHECKPOINTS, BUFFERS):
        with suppress(OSError):
            run.files.sweep(folder)


def models_table(run: RunDirectory, plan: Plan) -> pa.Table:
    """One row per model, in the order of the ids: what it is, and how it ended."""

    def look(group: Group) -> tuple[pa.Table, set[int]]:
        footers = published(run, group, plan.spec_hash)
        with open_shard(run.files, group.ranges[-1].shard) as shard:
            rows = shard.read(columns=["model_id", "epoch", *METRIC_NAMES], use_threads=False)
        return rows.filter(pc.equal(rows["epoch"], group.epochs)), set().union(*(part["diverged"] for part in footers))

    with ThreadPoolExecutor(READING_THREADS) as pool:
        looked = list(pool.map(look, plan.groups))
    final = pa.concat_tables([rows for rows, _ in looked]).sort_by("model_id")
    diverged = set[int]().union(*(models for _, models in looked))
    shared: dict[str, Any] = {
        "dataset": plan.facts.name,
        "architecture": plan.architecture.name,
        "hidden": list(plan.architecture.hidden),
        "bias": plan.architecture.bias,
        "image_side": plan.config.zoo.model.image_side,
        "parent_run": None,
        "parent_model_id": None,
        "parent_epoch": None,
    }
    rows = [
        {
            **shared,
            **asdict(model.hyperparameters),
            "model_id": model.model_id,
            "model_key": model.model_key,
            "group": group.number,
            "seed": model.seed,
            "split": model.split,
            "status": "diverged" if model.model_id in diverged else "ok",
        }
        for group in plan.groups
        for model in group.models
    ]
    rows.sort(key=lambda row: row["model_id"])
    columns = {name: [row[name] for row in rows] for name in MODELS_SCHEMA.names if name not in METRIC_NAMES}
    columns.update({name: final[name] for name in METRIC_NAMES})
    return pa.table([columns[name] for name in MODELS_SCHEMA.names], schema=MODELS_SCHEMA)
