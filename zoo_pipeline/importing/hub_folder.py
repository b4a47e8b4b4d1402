"""A dataset that `zoo export --format hub` wrote, as an origin: its rows, read as a tree of trials."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import safetensors.numpy
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError, UnreachableError
from zoo_pipeline.formats.safe_tensors import ORDER
from zoo_pipeline.importing.file_origin import FileOrigin
from zoo_pipeline.importing.stamps import Stamp
from zoo_pipeline.importing.trials import ITERATION, OF_AN_IMPORT, OWN, PARAMS, RESULTS, STEP
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.remedies import OF_ANYBODY
from zoo_pipeline.store.schema import LAYOUT_KEY, METRIC_NAMES, SCALAR_NAMES, SCALARS, VALIDATION_NAMES
from zoo_pipeline.store.shards import open_shard, vector_rows

DATA, SUFFIX = "data", ".parquet"
_FINAL = "final_"  # before the metrics of models
_KEPT_ROW_GROUPS = 4  # a process reads models in turn, which lie in the files of three splits
_MADE = re.compile(r"model-(\d{5,})/(?:(\w+\.json)|checkpoint[_-]\d+/(\d+)-(\d+)-(\d*)\.safetensors)")
Listed = tuple[tuple[str, int], ...]  # files, and how many bytes each has


@dataclass(frozen=True)
class _Index:
    """What the files say besides the weights.

    Attributes:
        layout: of the weights.
        rows: by model, of each of its rows: file, row, epoch, step.
        models: by model, its hyperparameters.
        metrics: by model, of each of its rows: epoch, step, and what was measured.
    """

    layout: Layout
    rows: dict[int, list[tuple[int, int, int, int]]]
    models: dict[int, dict[str, Any]]
    metrics: dict[int, list[tuple[int, int, dict[str, float]]]]


@dataclass(frozen=True)
class HubFolder:
    """The folder with the dataset, at a path or a URI.

    Attributes:
        place: absolute.
        files: of the dataset.
        beside: the same folder as one of files, for all others in it.
    """

    place: str
    files: Listed
    beside: FileOrigin

    @property
    def given(self) -> str:
        """As the user names it."""
        return self.beside.given

    @property
    def links(self) -> list[str]:
        """Links to folders, which were not followed."""
        return list(getattr(self.beside, "links", ()))

    def names(self) -> dict[str, Stamp]:
        """As `FileOrigin` says: a row is `model-00003/checkpoint_000020/FILE-ROW-STEP.safetensors`."""
        index = _index(self.place, self.files)
        size, stamp = 4 * index.layout.dimension, sum(size for _, size in self.files)
        names: dict[str, Stamp] = {}
        for model_id, rows in index.rows.items():
            folder = f"model-{model_id:05d}"
            names[f"{folder}/{PARAMS}"] = names[f"{folder}/{RESULTS}"] = (0, stamp)
            for file, row, epoch, step in rows:
                moment = f"checkpoint_{epoch:06d}" if epoch >= 0 else f"checkpoint-{max(step, 0)}"
                names[f"{folder}/{moment}/{file}-{row}-{step if step >= 0 else ''}.safetensors"] = (size, stamp)
        ours = dict(self.files)
        return {name: stamp for name, stamp in self.beside.names().items() if name not in ours} | names

    def read(self, name: str) -> bytes:
        """As `FileOrigin` says."""
        made, index = _MADE.fullmatch(name), _index(self.place, self.files)
        model_id = int(made[1]) if made else -1
        if made is None or model_id not in index.rows:
            return self.beside.read(name)
        if made[2] == PARAMS:
            return json.dumps(index.models[model_id], default=str).encode()
        if made[2] == RESULTS:
            return "".join(json.dumps(line) + "\n" for line in _told(index.metrics[model_id])).encode()
        try:
            weights: Any = self._weights(int(made[3]), int(made[4]))
        except IndexError:  # a name like one of ours
            return self.beside.read(name)
        # A copy in C order, which of a single number stays one.
        tensors = {name: np.array(values, order="C") for name, values in index.layout.unflatten(weights).items()}
        return safetensors.numpy.save(tensors, {"step": made[5], ORDER: json.dumps(list(tensors))})

    def knows_no_moment(self, name: str) -> bool:
        """Whether a name is of a row without epoch and step, whose folder has to say one all the same."""
        made = _MADE.fullmatch(name)
        return made is not None and made[5] == "" and "/checkpoint-0/" in name

    def _weights(self, file: int, row: int) -> NDArray[Any]:
        starts = _starts(self.place, *self.files[file])
        number = int(np.searchsorted(starts, row, side="right")) - 1
        values: NDArray[Any] = _row_group(self.place, *self.files[file], number)[row - starts[number]]
        return values


def find_hub_folder(place: str, beside: FileOrigin) -> HubFolder | None:
    """Such a dataset, if it lies at a place: Parquet files in `data/` of which one says what its weights are.

    Args:
        place: absolute.
        beside: the same folder as one of files.

    Raises:
        StoreError: the place cannot be reached.
    """
    files = Files(place)
    try:
        names = sorted(f"{DATA}/{name}" for name in files.names(DATA) if name.endswith(SUFFIX))
        if files.local and not all(Path(files.at(name)).is_file() for name in names):
            return None
        # The first that can be read decides: another one may be damaged, which is told when all are read.
        if not next((said for name in names if (said := _says_its_layout(files, name)) is not None), False):
            return None
        return HubFolder(place, tuple((name, files.size(name)) for name in names), beside)
    except UnreachableError:
        raise
    except StoreError:  # a folder that is something else
        return None


def _says_its_layout(files: Files, name: str) -> bool | None:
    """None: the file cannot be read."""
    try:
        with open_shard(files, name, OF_ANYBODY) as shard:
            return LAYOUT_KEY in (shard.schema_arrow.metadata or {})
    except UnreachableError:
        raise
    except StoreError:
        return None


@lru_cache(maxsize=2)
def _index(place: str, files: Listed) -> _Index:
    """Read once by every process."""
    index: _Index | None = None
    for number, (name, size) in enumerate(files):
        with open_shard(Files(place), name, OF_ANYBODY, size) as shard:
            schema = shard.schema_arrow
            try:
                layout = Layout.from_json((schema.metadata or {}).get(LAYOUT_KEY, b"null"))
            except StoreError as error:
                raise StoreError(f"{place}/{name}: {error}") from None
            index = index or _Index(layout, {}, {}, {})
            if layout != index.layout:
                raise StoreError(f"{place}/{name}: has another layout than {files[0][0]}; export the run again")
            for field in SCALARS:
                if field.name not in schema.names or schema.field(field.name).type != field.type:
                    raise StoreError(f"{place}/{name}: has no column {field.name} of {field.type}; export it again")
            columns = [field.name for field in schema if not pa.types.is_fixed_size_list(field.type)]
            table = shard.read(columns=columns, use_threads=False)
            if any(table[key].null_count for key in ("model_id", "epoch", "step")):
                raise StoreError(f"{place}/{name}: model_id, epoch or step holds nulls; export it again")
            for row, said in enumerate(_lines(table)):
                _take(index, number, row, said)
    if index is None:
        raise StoreError(f"{place}: has no files")
    return index


def _lines(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=4_096):
        yield from batch.to_pylist()


def _take(index: _Index, file: int, row: int, said: dict[str, Any]) -> None:
    model_id, epoch = said["model_id"], said["epoch"]
    index.rows.setdefault(model_id, []).append((file, row, epoch, said["step"]))
    metrics = {name: said[name] for name in (*METRIC_NAMES, *VALIDATION_NAMES) if said.get(name) is not None}
    index.metrics.setdefault(model_id, []).append((epoch, said["step"], metrics))
    if model_id not in index.models:
        index.models[model_id] = _hyperparameters(said)


def _told(rows: list[tuple[int, int, dict[str, float]]]) -> Iterator[dict[str, Any]]:
    """The lines of result.json: by epoch, and by step where an epoch is unknown or several rows differ in it."""
    times = Counter(step for _, step, _ in rows)
    by_epoch: dict[int, list[tuple[int, dict[str, float]]]] = {}
    for epoch, step, metrics in rows:
        by_epoch.setdefault(epoch, []).append((step, metrics))
    for epoch, measured in by_epoch.items():
        if epoch >= 0:
            alike = len({json.dumps(metrics) for _, metrics in measured}) == 1  # in which NaN is NaN
            yield {ITERATION: epoch, **(measured[0][1] if alike else {})}
            if alike:
                continue
        yield from ({STEP: step, **metrics} for step, metrics in measured if step >= 0 and times[step] == 1)


def _hyperparameters(said: dict[str, Any]) -> dict[str, Any]:
    kept = {
        name: value
        for name, value in said.items()
        if name not in SCALAR_NAMES and name.removeprefix(_FINAL) not in (*METRIC_NAMES, *VALIDATION_NAMES)
    }
    # Of a run that was imported already: what it had as its own is no longer so.
    older = {name: value for name, value in kept.items() if name.startswith(OWN)}
    return older | {
        OWN + name if name in OF_AN_IMPORT else name: value for name, value in kept.items() if name not in older
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
