"""The account of an import: import.json, which says of every file what became of it, and models.parquet."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from zoo_pipeline.importing.group import ImportedShard
from zoo_pipeline.importing.plan import ImportPlan
from zoo_pipeline.importing.trials import OF_AN_IMPORT, OWN, TrialNotes
from zoo_pipeline.splits import SPLITS
from zoo_pipeline.store.schema import METRIC_NAMES
from zoo_pipeline.store.schema import MODELS as MODELS_SCHEMA

MOST_LISTED = 10_000  # of each kind; what is more is counted
_HASH_BYTES = 16


def models_table(plan: ImportPlan, shards: Sequence[ImportedShard]) -> pa.Table:
    """One row per model, in the order of the ids; hyperparameters in columns of the types that they have."""
    trials: dict[int, TrialNotes] = {}
    last: dict[int, tuple[int, dict[str, float | None]]] = {}
    first_group: dict[int, int] = {}
    diverged: set[int] = set()
    for shard in shards:
        trials |= shard.trials
        diverged |= set(shard.diverged)
        for model_id, (epoch, metrics) in shard.last.items():
            first_group.setdefault(model_id, shard.record.group)
            if model_id not in last or epoch >= last[model_id][0]:
                last[model_id] = (epoch, metrics)
    ids = sorted(model_id for model_id in last if model_id >= 0)
    columns: dict[str, pa.Array] = {
        "model_id": pa.array(ids, pa.int32()),
        "model_key": pa.array([plan.key(model_id) for model_id in ids], pa.string()),
        "group": pa.array([first_group[model_id] for model_id in ids], pa.int32()),
        "name": pa.array([plan.models[model_id] for model_id in ids], pa.string()),
        "split": pa.array([_split(plan, trials, model_id) for model_id in ids], pa.string()),
    }
    names = {name: None for model_id in ids if model_id in trials for name in trials[model_id].hyperparameters}
    for name in names:
        own = f"hyperparameter {name}" if name in OF_AN_IMPORT else name
        columns[own] = typed([trials[each].hyperparameters.get(name) if each in trials else None for each in ids])
    columns["status"] = pa.array(["diverged" if each in diverged else "ok" for each in ids], pa.string())
    for name in METRIC_NAMES:
        columns[name] = pa.array([last[model_id][1][name] for model_id in ids], MODELS_SCHEMA.field(name).type)
    return pa.table(columns)


def _split(plan: ImportPlan, trials: dict[int, TrialNotes], model_id: int) -> str:
    """That of the run that was exported, where it is one of ours; else the plan's."""
    said = trials[model_id].hyperparameters.get(f"{OWN}split") if model_id in trials else None
    return said if isinstance(said, str) and said in dict(SPLITS) else plan.splits[model_id]


def typed(values: Sequence[Any]) -> pa.Array:
    """A column of JSON values: whole numbers and lists of such, numbers, truth values or texts; else they stay JSON.

    >>> typed([1, None, 2.5]).to_pylist(), typed([True, "yes"]).to_pylist()
    ([1.0, None, 2.5], ['true', '"yes"'])
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool}:
        return pa.array(values, pa.bool_() if kinds else pa.null())
    if kinds == {int} and all(value is None or _is_small(value) for value in values):
        return pa.array(values, pa.int64())
    if kinds <= {int, float} and all(type(value) is not int or abs(value) <= 2**53 for value in values):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    if kinds == {list} and all(_is_small(each) for value in values for each in value or ()):
        return pa.array(values, pa.list_(pa.int64()))
    if kinds == {str}:
        return pa.array([None if value is None else value.encode(errors="replace").decode() for value in values])
    return pa.array([None if value is None else json.dumps(value) for value in values], pa.string())


def _is_small(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def identical(shards: Sequence[ImportedShard]) -> list[list[str]]:
    """Files whose weights are the same to the bit, in the order of their rows."""
    first: dict[bytes, str] = {}
    same: dict[bytes, list[str]] = {}
    for shard in shards:
        for at, file in enumerate(shard.files):
            content = shard.contents[_HASH_BYTES * at : _HASH_BYTES * (at + 1)]
            if content in first:
                same.setdefault(content, [first[content]]).append(file)
            else:
                first[content] = file
    return list(same.values())


def left_out(shards: Sequence[ImportedShard]) -> list[dict[str, Any]]:
    """Tensors that are no weights, by name and reason, with the number of files that have them."""
    times: Counter[tuple[str, str]] = Counter()
    for shard in shards:
        times.update(shard.left_out)
    return [{"tensor": what, "why": why, "files": count} for (what, why), count in sorted(times.items())]


def listed(values: Sequence[Any]) -> dict[str, Any]:
    """How many there are, and the first of them."""
    return {"count": len(values), "listed": list(values[:MOST_LISTED])}
