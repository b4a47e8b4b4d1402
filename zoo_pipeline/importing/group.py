"""One group of an import: files are read and published as a shard; what is published already is described."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError, UnreachableError
from zoo_pipeline.formats import State
from zoo_pipeline.importing.file_origin import FileOrigin
from zoo_pipeline.importing.plan import MOST_EPOCHS, MOST_STEPS, UNKNOWN, ImportedGroup, ImportedRow, known_number
from zoo_pipeline.importing.reading import state_of
from zoo_pipeline.importing.stamps import printable
from zoo_pipeline.importing.trainer_state import TRAINER
from zoo_pipeline.importing.trials import TrialNotes, TrialPlace, read_trial
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.commit import ShardRecord
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.schema import (
    ELEMENT,
    LAYOUT_KEY,
    METRIC_NAMES,
    SCALARS,
    SHARD_KEY,
    VALIDATION,
    VALIDATION_NAMES,
    encode_checkpoints,
)
from zoo_pipeline.store.shards import open_shard, read_footer, sha256_of, vector_rows

FILE = "file"
_HASH_BYTES = 16


@dataclass(frozen=True)
class ImportTask:
    """All that a worker needs to import a group, besides the origins.

    Attributes:
        root: of the run.
        spec_hash: of the run.
        layout: of all rows.
        group: the rows.
        listed: sha256 and rows of the shard that the manifest lists, where an import goes on; None where none does.
        trials: by model_id: where its hyperparameters and metrics lie.
    """

    root: str
    spec_hash: str
    layout: Layout
    group: ImportedGroup
    listed: tuple[str, int] | None
    trials: dict[int, TrialPlace]


@dataclass(frozen=True)
class ImportedShard:
    """What became of a group.

    Attributes:
        record: the line of the manifest.
        trials: what is known of its models besides the weights.
        last: by model_id: epoch of its last row here, and that row's metrics.
        diverged: models of which a weight is not finite.
        contents: hashes of the rows' weights, one behind the other.
        files: the files of the rows.
        refused: files whose values cannot be taken, and why.
        left_out: how often a tensor of a name was left out of the weights, and why, as (name, why).
        resumed: it was there already.
    """

    record: ShardRecord
    trials: dict[int, TrialNotes]
    last: dict[int, tuple[int, dict[str, float | None]]]
    diverged: list[int]
    contents: bytes
    files: list[str]
    refused: list[tuple[str, str]]
    left_out: dict[tuple[str, str], int]
    resumed: bool = False


def import_group(task: ImportTask, origins: Sequence[FileOrigin], *, device: str) -> ImportedShard:  # noqa: ARG001
    """Read a group's files and publish its shard, or find it published; one that is damaged is replaced.

    Raises:
        StoreError: the run cannot be written, or holds a shard of another one.
    """
    run = RunDirectory(task.root)
    run.check_seen(task.spec_hash)
    trials = {model_id: _trial(origins[place.origin], place) for model_id, place in task.trials.items()}
    there = run.files.exists(task.group.shard)
    found = _found(run, task, trials) if there else None
    if found is None:
        table, refused, left_out = _read(task, origins, trials)
        if refused and task.listed is not None and len(table) < task.listed[1]:
            file, why = refused[0]
            raise StoreError(
                f"{run.files.at(task.group.shard)}: is lost or damaged, and cannot be made again without {file}: {why}"
            )
        footer = {
            "group": task.group.number,
            "range": _range(table),
            "spec_hash": task.spec_hash,
            "rows": len(table),
            "diverged": _diverged(table),
            "starts_from": "",
            "ends_in": "",
            "buffers": None,
            "refused": refused,
            "left_out": [[*what, times] for what, times in sorted(left_out.items())],
        }
        metadata = {**table.schema.metadata, SHARD_KEY: json.dumps(footer, sort_keys=True).encode()}
        data = encode_checkpoints(table.replace_schema_metadata(metadata))
        if there:
            run.files.replace(task.group.shard, data)
        if there or run.files.publish(task.group.shard, data):
            sha256 = hashlib.sha256(data).hexdigest()
            return _described(task, table, footer, trials, len(data), sha256, resumed=False)
        found = _found(run, task, trials)
    if found is None:
        raise StoreError(f"{run.files.at(task.group.shard)}: was damaged while it was imported; go on by --resume")
    return found


def imported_schema(layout: Layout) -> pa.Schema:
    """The schema of an imported shard: that of any shard, with the validation's metrics and the file of each row."""
    weights = pa.field("weights", pa.list_(ELEMENT, layout.dimension), nullable=False)
    fields = [*SCALARS, *VALIDATION, pa.field(FILE, pa.string(), nullable=False), weights]
    return pa.schema(fields, metadata={LAYOUT_KEY: layout.to_json().encode()})


def _read(
    task: ImportTask, origins: Sequence[FileOrigin], trials: dict[int, TrialNotes]
) -> tuple[pa.Table, list[list[str]], Counter[tuple[str, str]]]:
    rows = task.group.rows
    weights = np.empty((len(rows), task.layout.dimension), np.float32)
    kept: list[ImportedRow] = []
    refused: list[list[str]] = []
    left_out: Counter[tuple[str, str]] = Counter()
    for row in rows:
        origin = origins[row.file.origin]
        try:
            state = state_of(origin, row.file.name)
            task.layout.flatten(state.tensors, weights[len(kept)])
        except UnreachableError:
            raise
        except StoreError as error:
            refused.append([shown(origin, row.file.name), str(error)])
            continue
        except (KeyError, ValueError):
            refused.append([shown(origin, row.file.name), "was changed while it was imported; import it again"])
            continue
        left_out.update(state.left_out.items())
        kept.append(_with_own(row, state))
    order = sorted(range(len(kept)), key=lambda at: (kept[at].model_id, kept[at].epoch, kept[at].step))
    weights = weights[: len(kept)] if order == list(range(len(kept))) else weights[order]
    ordered = [kept[at] for at in order]
    files = [shown(origins[row.file.origin], row.file.name) for row in ordered]
    columns = _columns(ordered, weights, files, trials)
    return pa.Table.from_arrays(columns, schema=imported_schema(task.layout)), refused, left_out


def _with_own(row: ImportedRow, state: State) -> ImportedRow:
    """The row, with the step that the file itself says where its name does not, and the epoch where no name counts."""
    step = row.step if row.step >= 0 else known_number(state.step, MOST_STEPS)
    counted = row.epoch >= 0 or (row.by_steps and step >= 0)
    epoch = row.epoch if counted else known_number(state.epoch, MOST_EPOCHS)
    return replace(row, epoch=epoch, step=step)


def _columns(
    rows: list[ImportedRow], weights: NDArray[np.float32], files: list[str], trials: dict[int, TrialNotes]
) -> list[pa.Array]:
    notes = [trials.get(row.model_id, TrialNotes()) for row in rows]
    known = [
        each.metrics.get(row.epoch) or each.by_step.get(row.step, {}) for each, row in zip(notes, rows, strict=True)
    ]
    scalars = {
        "model_id": [row.model_id for row in rows],
        "epoch": [row.epoch for row in rows],
        "step": [
            row.step if row.step >= 0 else known_number(each.steps.get(row.epoch), MOST_STEPS)
            for each, row in zip(notes, rows, strict=True)
        ],
        **{name: [metrics.get(name) for metrics in known] for name in (*METRIC_NAMES, *VALIDATION_NAMES)},
        FILE: files,
    }
    dimension = weights.shape[1]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(weights.reshape(-1)), type=pa.list_(ELEMENT, dimension))
    types = {field.name: field.type for field in (*SCALARS, *VALIDATION)} | {FILE: pa.string()}
    return [*(pa.array(values, types[name]) for name, values in scalars.items()), vectors]


def _found(run: RunDirectory, task: ImportTask, trials: dict[int, TrialNotes]) -> ImportedShard | None:
    """The facts of a shard that is there; None where it is damaged.

    Raises:
        StoreError: it cannot be reached, or is another one.
    """
    name = task.group.shard
    try:
        footer, sha256 = read_footer(run.files, name), sha256_of(run.files, name)
        with open_shard(run.files, name) as shard:
            table = shard.read(use_threads=False)
    except UnreachableError:
        raise
    except StoreError:
        return None
    if task.listed is not None and task.listed[0] != sha256:
        return None
    if not table.schema.equals(imported_schema(task.layout)):
        return None
    expected = {"group": task.group.number, "spec_hash": task.spec_hash}
    if {key: footer.get(key) for key in expected} != expected or footer.get("rows") != footer["file_rows"]:
        raise StoreError(f"{run.files.at(name)}: is not this run's shard; move it away, and import again with --resume")
    return _described(task, table, footer, trials, run.files.size(name), sha256, resumed=True)


def _described(
    task: ImportTask,
    table: pa.Table,
    footer: dict[str, Any],
    trials: dict[int, TrialNotes],
    size: int,
    sha256: str,
    *,
    resumed: bool,
) -> ImportedShard:
    weights = vector_rows(table, "weights") if len(table) else np.empty((0, task.layout.dimension), np.float32)
    last: dict[int, tuple[int, dict[str, float | None]]] = {}
    scalars = table.select(["model_id", "epoch", *METRIC_NAMES]).to_pylist()
    for row in scalars:  # they ascend
        last[row["model_id"]] = (row["epoch"], {name: row[name] for name in METRIC_NAMES})
    record = ShardRecord(task.group.shard, task.group.number, footer["range"], len(table), size, sha256, buffers=None)
    return ImportedShard(
        record=record,
        trials=trials,
        last=last,
        diverged=footer["diverged"],
        contents=b"".join(hashlib.blake2b(row.data, digest_size=_HASH_BYTES).digest() for row in weights),
        files=table[FILE].to_pylist(),
        refused=[(str(file), str(why)) for file, why in footer["refused"]],
        left_out={(str(what), str(why)): int(times) for what, why, times in footer["left_out"]},
        resumed=resumed,
    )


def _range(table: pa.Table) -> list[int]:
    """First and last epoch of the rows; unknown where there are none."""
    epochs = table["epoch"].to_numpy()
    return [int(epochs.min()), int(epochs.max())] if len(epochs) else [UNKNOWN, UNKNOWN]


def _diverged(table: pa.Table) -> list[int]:
    if not len(table):
        return []
    lost = ~np.isfinite(vector_rows(table, "weights")).all(axis=1)
    return [int(model_id) for model_id in np.unique(table["model_id"].to_numpy()[lost]) if model_id >= 0]


def _trial(origin: FileOrigin, place: TrialPlace) -> TrialNotes:
    def below(name: str) -> str:
        folder = place.trainer if name == TRAINER else place.folder
        return name if folder == "." else f"{folder}/{name}"

    present = place.present | ({TRAINER} if place.trainer else set())
    notes = read_trial(lambda name: origin.read(below(name)), present, place.epochs)
    told = ((trouble.partition(":")[0], trouble) for trouble in notes.troubles)
    return replace(notes, troubles=tuple(shown(origin, below(name) + why.removeprefix(name)) for name, why in told))


def shown(origin: FileOrigin, name: str) -> str:
    """What a file is called in tables and messages: its place as the user names it."""
    given = origin.given.rstrip("/")
    place = given if given.endswith(f"/{name}") or given == name else f"{given}/{name}"
    return printable(place)
