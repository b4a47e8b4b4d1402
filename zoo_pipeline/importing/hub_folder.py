"""A dataset that `zoo export --format hub` wrote, as an origin: its rows, read as a tree of trials."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.importing.stamps import Stamp
from zoo_pipeline.importing.trials import ITERATION, OF_AN_IMPORT, OWN, PARAMS, RESULTS, STEP
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.remedies import OF_ANYBODY
from zoo_pipeline.store.schema import LAYOUT_KEY, METRIC_NAMES, SCALAR_NAMES
from zoo_pipeline.store.shards import open_shard, vector_rows

DATA, SUFFIX = "data", ".parquet"
_KEPT_ROW_GROUPS = 4  # a process reads models in turn, which lie in the files of three splits


@dataclass(frozen=True)
class _Index:
    """What the files say besides the weights.

    Attributes:
        files: their names, and how many bytes each has.
        layout: of the weights.
        rows: by model, of each of its rows: file, row, epoch, step.
        models: by model, its hyperparameters.
        metrics: by model, a line for each row.
    """

    files: tuple[tuple[str, int], ...]
    layout: Layout
    rows: dict[int, list[tuple[int, int, int, int]]]
    models: dict[int, dict[str, Any]]
    metrics: dict[int, list[dict[str, Any]]]


def is_hub_folder(place: str) -> bool:
    """Whether a folder holds such a dataset: Parquet files in `data/` that say what their weights are."""
    files = Files(place)
    try:
        names = [name for name, _ in _listed(files)]
        if not names or (files.local and not Path(files.at(names[0])).is_file()):
            return False
        with open_shard(files, names[0], OF_ANYBODY) as shard:
            return LAYOUT_KEY in (shard.schema_arrow.metadata or {})
    except StoreError:  # of something else
        return False


@dataclass(frozen=True)
class HubFolder:
    """The folder with the dataset, at a path or a URI."""

    given: str
    place: str

    def names(self) -> dict[str, Stamp]:
        """As `FileOrigin` says: `model-00003/checkpoint_000020/FILE-ROW.npz`, with `params.json` and `result.json`."""
        index = _index(self.place)
        stamp = (4 * index.layout.dimension, sum(size for _, size in index.files))
        names: dict[str, Stamp] = {}
        for model_id, rows in index.rows.items():
            folder = f"model-{model_id:05d}"
            names[f"{folder}/{PARAMS}"] = names[f"{folder}/{RESULTS}"] = (0, stamp[1])
            for file, row, epoch, step in rows:
                moment = f"checkpoint_{epoch:06d}" if epoch >= 0 else f"checkpoint-{max(step, 0)}"
                names[f"{folder}/{moment}/{file}-{row}.npz"] = stamp
        return names

    def read(self, name: str) -> bytes:
        """As `FileOrigin` says."""
        index = _index(self.place)
        folder, _, rest = name.partition("/")
        model_id = int(folder.removeprefix("model-"))
        if rest == PARAMS:
            return json.dumps(index.models[model_id], default=str).encode()
        if rest == RESULTS:
            return "".join(json.dumps(line) + "\n" for line in index.metrics[model_id]).encode()
        file, row = map(int, rest.rpartition("/")[2].removesuffix(".npz").split("-"))
        packed = io.BytesIO()
        weights: Any = self._weights(index, file, row)
        np.savez(packed, **index.layout.unflatten(weights))
        return packed.getvalue()

    def _weights(self, index: _Index, file: int, row: int) -> NDArray[Any]:
        starts = _starts(self.place, *index.files[file])
        number = int(np.searchsorted(starts, row, side="right")) - 1
        values: NDArray[Any] = _row_group(self.place, *index.files[file], number)[row - starts[number]]
        return values


def _listed(files: Files) -> list[tuple[str, int]]:
    names = [f"{DATA}/{name}" for name in files.names(DATA) if name.endswith(SUFFIX)]
    return [(name, files.size(name)) for name in sorted(names)]


def _index(place: str) -> _Index:
    """The index, read once by every process, as long as the files are the same."""
    return _read(place, tuple(_listed(Files(place))))


@lru_cache(maxsize=2)
def _read(place: str, listed: tuple[tuple[str, int], ...]) -> _Index:
    index = _Index(listed, _layout(place, listed[0]), {}, {}, {})
    for file, (name, size) in enumerate(listed):
        with open_shard(Files(place), name, OF_ANYBODY, size) as shard:
            vectors = [field.name for field in shard.schema_arrow if pa.types.is_fixed_size_list(field.type)]
            columns = [column for column in shard.schema_arrow.names if column not in vectors]
            if missing := [column for column in (*SCALAR_NAMES, "weights") if column not in shard.schema_arrow.names]:
                raise StoreError(f"{place}/{name}: has no column {missing[0]}; export the run again")
            for row, said in enumerate(_lines(shard.read(columns=columns, use_threads=False))):
                _take(index, file, row, said)
    return index


def _layout(place: str, first: tuple[str, int]) -> Layout:
    name, size = first
    with open_shard(Files(place), name, OF_ANYBODY, size) as shard:
        return Layout.from_json((shard.schema_arrow.metadata or {}).get(LAYOUT_KEY, b"null"))


def _lines(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=4_096):
        yield from batch.to_pylist()


def _take(index: _Index, file: int, row: int, said: dict[str, Any]) -> None:
    model_id, epoch, step = said["model_id"], said["epoch"], said["step"]
    index.rows.setdefault(model_id, []).append((file, row, epoch, step))
    metrics = {name: said[name] for name in METRIC_NAMES if said[name] is not None}
    index.metrics.setdefault(model_id, []).append({ITERATION: epoch, STEP: step, **metrics})
    if model_id not in index.models:
        known = {name: value for name, value in said.items() if name not in SCALAR_NAMES}
        index.models[model_id] = {
            OWN + name if name in OF_AN_IMPORT else name: value
            for name, value in known.items()
            if name.removeprefix("final_") not in METRIC_NAMES
        }


@lru_cache(maxsize=16)
def _starts(place: str, name: str, size: int) -> NDArray[np.int64]:
    """The first row of each row group of a file."""
    with open_shard(Files(place), name, OF_ANYBODY, size) as shard:
        groups = range(shard.num_row_groups)
        return np.cumsum([0, *(shard.metadata.row_group(at).num_rows for at in groups)], dtype=np.int64)[:-1]


@lru_cache(maxsize=_KEPT_ROW_GROUPS)
def _row_group(place: str, name: str, size: int, number: int) -> NDArray[np.float32]:
    with open_shard(Files(place), name, OF_ANYBODY, size) as shard:
        return vector_rows(shard.read_row_group(number, columns=["weights"], use_threads=False), "weights")
