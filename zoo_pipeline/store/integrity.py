"""Integrity: every byte of a run, held against what the run says of itself."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from zoo_pipeline.counts import plural
from zoo_pipeline.errors import StoreError, UnreachableError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.analyses import read_analysis
from zoo_pipeline.store.rundir import CHECKPOINTS, MODELS, RunDirectory, is_imported
from zoo_pipeline.store.schema import buffers_schema, checkpoint_schema
from zoo_pipeline.store.shards import open_shard, read_footer, read_layout, sha256_of, vector_rows
from zoo_pipeline.store.survey import OF_ALL, group_counts, sound_manifest, survey

_THREADS = 8
_IDS = ("model_id", "epoch")


@dataclass
class Read:
    """What was read of a shard.

    Attributes:
        fault: what is wrong with it; empty where nothing is.
        bytes: of the shard and its buffers.
        models: ids of its models, int32[k], ascending.
        first: its first epoch.
        layout: of its weights.
    """

    fault: str = ""
    bytes: int = 0
    models: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    first: int = 0
    layout: Layout | None = None


def verify(run: RunDirectory, threads: int = _THREADS) -> dict[str, Any]:
    """Read a run in full, several shards at a time.

    Of each shard, what `survey` looks at; besides, its seal and the checksum of every page, the file's hash, where the
    manifest has it, the order and number of its rows, nulls, what is not finite in models that are not flagged, and its
    buffers. Of all, that their layouts agree, that no model comes twice, and that models.parquet lists these models.
    Analyses are read, too.

    Args:
        run: the run.
        threads: shards that are read at a time; one row group of each is held.

    Returns:
        As `survey`, with all faults among `damaged` and `damaged_analyses`, and `bytes`: how many were read of shards.

    Raises:
        StoreError: not a run directory.
    """
    found = survey(run)
    spec = run.spec
    manifest, _ = sound_manifest(run, spec)
    claimed = is_imported(spec)
    hashes = {str(line["shard"]): str(line["sha256"]) for line in manifest["shards"]} if manifest is not None else {}
    present = {f"{CHECKPOINTS}/{name}" for name in run.files.names(CHECKPOINTS)}
    names = sorted(present - {*found["foreign"], *found["damaged"]})
    with ThreadPoolExecutor(threads) as pool:
        read = dict(
            zip(names, pool.map(lambda name: _read(run, name, hashes.get(name), claimed=claimed), names), strict=True)
        )
    damaged = found["damaged"] | {name: one.fault for name, one in read.items() if one.fault}
    damaged |= _disagreements({name: one for name, one in read.items() if not one.fault}, claimed=claimed)
    if (
        manifest is not None
        and MODELS not in found["missing"]
        and (fault := _fault_of_models(run, manifest, {} if claimed else spec, read))
    ):
        damaged[MODELS] = fault
    return found | {
        "damaged": dict(sorted(damaged.items())),
        "done": found["shards"] - len(set(damaged) - OF_ALL) - sum(name != MODELS for name in found["missing"]),
        "groups": group_counts(found["groups"]["all"], damaged, found["missing"]),
        "complete": found["complete"] and not damaged,
        "bytes": sum(one.bytes for one in read.values()),
        "damaged_analyses": dict(_damaged_analyses(run, found["analyses"])),
    }


def _damaged_analyses(run: RunDirectory, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Analyses that cannot be read, and why."""
    for name in names:
        try:
            read_analysis(run.files, name)
        except UnreachableError:
            raise
        except StoreError as error:
            yield name, str(error)


def _read(run: RunDirectory, name: str, sha256: str | None, *, claimed: bool) -> Read:
    """Read a shard and its buffers; of an imported run, models and epochs are what names claim."""
    read = Read()
    try:
        footer, size = read_footer(run.files, name), run.files.size(name)
        read.bytes = size
        if sha256_of(run.files, name) != sha256 and sha256 is not None:
            return Read(f"{run.files.at(name)}: is not the file that the manifest lists (its sha256 is another)", size)
        ids, read.layout, odd = _rows(run, name, buffers=False)
        read.models, (read.first, _) = np.unique(ids[0]), _extent(ids[1])
        odd = odd & (ids[0] >= 0) if claimed else odd
        fault = _fault_of_order(ids) if claimed else _fault_of_ids(ids, footer)
        read.fault = fault or _fault_of_values(ids, odd, footer)
        if (buffers := footer["buffers"]) is not None and not read.fault:
            read.bytes += buffers["bytes"]
            if run.files.sha256(buffers["file"]) != buffers["sha256"]:
                read.fault = f"its {buffers['file']} is not the file that the footer names (its sha256 is another)"
            elif not all(map(np.array_equal, _rows(run, buffers["file"], buffers=True)[0], ids)):
                read.fault = f"its {buffers['file']} is of other rows"
        read.fault = read.fault and f"{run.files.at(name)}: {read.fault}"
    except UnreachableError:
        raise
    except (StoreError, pa.ArrowException) as error:
        read.fault = str(error)
    return read


def _rows(run: RunDirectory, name: str, *, buffers: bool) -> tuple[list[NDArray[np.int32]], Layout, NDArray[np.bool_]]:
    """The ids of a file's rows, its layout, and which rows are not finite; every page is read."""
    schema = buffers_schema if buffers else checkpoint_schema
    ids: list[list[NDArray[np.int32]]] = [[np.empty(0, np.int32)] for _ in _IDS]
    odd = [np.empty(0, bool)]
    with open_shard(run.files, name) as shard:
        layout = read_layout(shard, schema)
        vectors = schema(layout).names[-1]
        for group in range(shard.num_row_groups):
            table = shard.read_row_group(group, use_threads=False)
            for column, values in zip(_IDS, ids, strict=True):
                values.append(table[column].to_numpy())
            odd.append(np.asarray(~np.isfinite(vector_rows(table, vectors)).all(axis=1)))
    return [np.concatenate(values) for values in ids], layout, np.concatenate(odd)


def _fault_of_ids(ids: Sequence[NDArray[np.int32]], footer: dict[str, Any]) -> str:
    """Rows have to come by model, and of each model every epoch of the range once."""
    models, epochs = ids
    first, last = _extent(epochs)
    if footer.get("range", [first, last]) != [first, last]:
        return f"holds epochs {first} to {last}, its footer says {footer['range']}"
    each = np.unique(models)
    # So many rows are there, however large the numbers in them.
    if len(models) == len(each) * (last - first + 1):
        expected = np.repeat(each, last - first + 1), np.tile(np.arange(first, last + 1), len(each))
        if np.array_equal(models, expected[0]) and np.array_equal(epochs, expected[1]):
            return ""
    return f"its rows are not every epoch from {first} to {last} of each model, in order"


def _fault_of_order(ids: Sequence[NDArray[np.int32]]) -> str:
    """Rows of an imported run come by model and epoch, which may be unknown, lack some, and come twice."""
    models, epochs = (values.astype(np.int64) for values in ids)
    ascending = (np.diff(models) > 0) | ((np.diff(models) == 0) & (np.diff(epochs) >= 0))
    return "" if ascending.all() else "its rows are not in the order of models and epochs"


def _extent(epochs: NDArray[np.int32]) -> tuple[int, int]:
    """First and last epoch; (0, -1) where there are no rows."""
    return (int(epochs.min()), int(epochs.max())) if len(epochs) else (0, -1)


def _fault_of_values(ids: Sequence[NDArray[np.int32]], odd: NDArray[np.bool_], footer: dict[str, Any]) -> str:
    """What is not finite belongs to models that are flagged as diverged."""
    unflagged = np.flatnonzero(odd & ~np.isin(ids[0], footer["diverged"]))
    if not len(unflagged):
        return ""
    row = int(unflagged[0])
    return (
        f"{plural(len(unflagged), 'row')} with weights that are not finite in models that are not flagged as diverged; "
        f"the first is model {ids[0][row]} after epoch {ids[1][row]}"
    )


def _disagreements(read: dict[str, Read], *, claimed: bool) -> dict[str, str]:
    """Shards of another layout than the first, and those with models that another has for the same epochs."""
    faults: dict[str, str] = {}
    whose: dict[tuple[int, int], str] = {}
    layouts = [(name, one.layout) for name, one in read.items()]
    for name, layout in layouts:
        if layout != layouts[0][1]:
            faults[name] = f"{name}: has another layout than {layouts[0][0]}"
    for name, one in read.items() if not claimed else ():
        for model in one.models.tolist():
            other = whose.setdefault((model, one.first), name)
            if other != name:
                faults.setdefault(name, f"{name}: model {model} is in {other}, too")
    return faults


def _fault_of_models(run: RunDirectory, manifest: dict[str, Any], spec: dict[str, Any], read: dict[str, Read]) -> str:
    """models.parquet has to be the manifest's, and to list the models of the shards, each once."""
    told = manifest.get("models")
    try:
        with open_shard(run.files, MODELS) as file:
            listed = file.read(use_threads=False)["model_id"].to_numpy()
        if isinstance(told, dict) and told.get("rows", len(listed)) != len(listed):
            return f"{run.files.at(MODELS)}: has {plural(len(listed), 'row')}, the manifest says {told['rows']!r:.80}"
        if isinstance(told, dict) and told.get("sha256") not in (None, run.files.sha256(MODELS)):
            return f"{run.files.at(MODELS)}: is not the file that the manifest lists (its sha256 is another)"
    except UnreachableError:
        raise
    except (StoreError, KeyError) as error:
        return str(error)
    there = np.unique(np.concatenate([np.empty(0, np.int32), *(one.models for one in read.values())]))
    there = there[there >= 0]
    if len(np.unique(listed)) != len(listed) or not np.isin(there, listed).all():
        return f"{run.files.at(MODELS)}: does not list every model of the shards once"
    if isinstance(spec.get("models"), int) and len(listed) != spec["models"]:
        return f"{run.files.at(MODELS)}: lists {plural(len(listed), 'model')}, spec.json says {spec['models']:,}"
    return ""
