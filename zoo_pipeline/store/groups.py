"""Groups on disk: publishing one, proving that one is there, and the tables made of all of them."""

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from zoo_pipeline.errors import StoreError
from zoo_pipeline.plan import FORMAT_VERSION, Group, Plan
from zoo_pipeline.store.rundir import MODELS, RunDirectory
from zoo_pipeline.store.schema import METRIC_NAMES, encode_checkpoints, encode_table
from zoo_pipeline.store.schema import MODELS as MODELS_SCHEMA
from zoo_pipeline.store.shards import open_shard, read_footer


@dataclass(frozen=True)
class ShardRecord:
    """One line of the manifest."""

    shard: str
    group: int
    rows: int
    bytes: int
    sha256: str


def publish_group(run: RunDirectory, group: Group, spec_hash: str, table: pa.Table) -> ShardRecord:
    """Publish a group's shard and describe the one that is there now: ours, or an earlier attempt's.

    Raises:
        StoreError: it cannot be written, or a file of that name is there that is not this group's shard.
    """
    data = encode_checkpoints(table)
    if not run.files.publish(group.shard, data):
        done(run, group, spec_hash)
        return describe_group(run, group)
    return ShardRecord(group.shard, group.number, group.rows, len(data), hashlib.sha256(data).hexdigest())


def done(run: RunDirectory, group: Group, spec_hash: str) -> bool:
    """Whether a group's shard is there and its footer proves that it is whole and belongs to this run.

    Raises:
        StoreError: a file of that name is there, but it is damaged or another run's.
    """
    if not run.files.exists(group.shard):
        return False
    footer = read_footer(run.files, group.shard)
    expected = {"group": group.number, "spec_hash": spec_hash, "rows": group.rows, "file_rows": group.rows}
    found = {key: footer.get(key) for key in expected}
    if found != expected:
        raise StoreError(
            f"{run.files.at(group.shard)}: is not this run's shard (footer says {found}, expected {expected}); "
            f"move it away and run zoo train again with --resume"
        )
    return True


def describe_group(run: RunDirectory, group: Group) -> ShardRecord:
    """The manifest line of a shard that is there; reads all of it."""
    size, sha256 = run.files.size(group.shard), run.files.sha256(group.shard)
    return ShardRecord(group.shard, group.number, group.rows, size, sha256)


def complete(run: RunDirectory, plan: Plan, records: list[ShardRecord]) -> None:
    """Write models.parquet and then the manifest, which declares the run complete.

    Raises:
        StoreError: a manifest is there that describes other files.
    """
    table = models_table(run, plan)
    data = encode_table(table)
    if run.manifest is None or not run.files.exists(MODELS):
        run.files.replace(MODELS, data)  # without a manifest, what is there is of an attempt that was interrupted
    run.publish_manifest(
        {
            "format_version": FORMAT_VERSION,
            "spec_hash": plan.spec_hash,
            "checkpoints": plan.checkpoints,
            "models": {
                "file": MODELS,
                "rows": len(table),
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            },
            "shards": [asdict(record) for record in sorted(records, key=lambda record: record.group)],
        }
    )


def models_table(run: RunDirectory, plan: Plan) -> pa.Table:
    """One row per model, in the order of the ids: what it is, and how it ended."""
    finals, diverged = [], set[int]()
    for group in plan.groups:
        done(run, group, plan.spec_hash)
        diverged |= set(read_footer(run.files, group.shard)["diverged"])
        with open_shard(run.files, group.shard) as shard:
            rows = shard.read(columns=["model_id", "epoch", *METRIC_NAMES], use_threads=False)
            finals.append(rows.filter(pc.equal(rows["epoch"], plan.epochs)))
    final = pa.concat_tables(finals).sort_by("model_id")
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
