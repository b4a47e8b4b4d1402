"""The Small CNN Zoo (Unterthiner et al., arXiv 2002.11448) as an origin: three files, read as a tree of trials.

`weights.npy` has a row for each checkpoint, `metrics.csv` (or `.csv.gz`) what is known of it, `layout.csv` which
columns are which tensor. Of the tensors of a network of TensorFlow, shapes and values stay as they are.
"""

import ast
import csv
import gzip
import io
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.importing.stamps import Stamp
from zoo_pipeline.importing.trials import PARAMS, RESULTS

WEIGHTS, METRICS, LAYOUT = "weights.npy", ("metrics.csv.gz", "metrics.csv"), "layout.csv"
_CONFIG = "config."
# Its names for what we have a column for.
_COLUMNS = {
    "random_seed": "seed",
    "w_init": "initialisation",
    "l2reg": "weight_decay",
    "train_fraction": "data_fraction",
}
_NAMES = {
    "train_loss": "train_loss",
    "train_accuracy": "train_acc",
    "test_loss": "test_loss",
    "test_accuracy": "test_acc",
}
_MOST_TABLE_BYTES = 4 << 30  # that a gzip is unpacked to


@dataclass(frozen=True)
class _Tables:
    """What the three files say."""

    weights: NDArray[Any]  # float[rows, d], left on the disk
    tensors: tuple[tuple[str, tuple[int, ...], int], ...]  # name, shape, first column
    models: dict[str, dict[str, Any]]  # hyperparameters by name
    rows: dict[str, dict[int, tuple[int, dict[str, float]]]]  # by model and step: row, metrics


def is_cnn_zoo(folder: str) -> bool:
    """Whether a folder holds the three files."""
    here = Path(folder)
    return (here / WEIGHTS).is_file() and (here / LAYOUT).is_file() and any((here / name).is_file() for name in METRICS)


@dataclass(frozen=True)
class CnnZoo:
    """The folder with the three files; `step` is called the epoch, as its authors count it."""

    given: str
    path: str

    def names(self) -> dict[str, Stamp]:
        """As `FileOrigin` says: `MODEL/checkpoint_000020/row.npz`, and each model's `params.json` and `result.json`."""
        tables = _tables(self.path)
        stamp = (4 * tables.weights.shape[1], Path(self.path, WEIGHTS).stat().st_mtime_ns)
        names: dict[str, Stamp] = {}
        for model, steps in tables.rows.items():
            names[f"{model}/{PARAMS}"] = names[f"{model}/{RESULTS}"] = (0, stamp[1])
            names |= {f"{model}/checkpoint_{step:06d}/row.npz": stamp for step in steps}
        return names

    def read(self, name: str) -> bytes:
        """As `FileOrigin` says."""
        tables = _tables(self.path)
        model, _, file = name.partition("/")
        if file == PARAMS:
            return json.dumps(tables.models[model]).encode()
        if file == RESULTS:
            lines = ({"training_iteration": step, **metrics} for step, (_, metrics) in tables.rows[model].items())
            return "".join(json.dumps(line) + "\n" for line in lines).encode()
        row, _ = tables.rows[model][int(file.partition("/")[0].removeprefix("checkpoint_"))]
        values = np.asarray(tables.weights[row], dtype=np.float32)
        packed = io.BytesIO()
        arrays = {name: values[first : first + prod(shape)].reshape(shape) for name, shape, first in tables.tensors}
        np.savez(packed, **arrays)  # type: ignore[arg-type]
        return packed.getvalue()


def _tables(path: str) -> _Tables:
    """The tables, read once by every process, as long as they are the same."""
    changed = [file.stat().st_mtime_ns for name in (WEIGHTS, LAYOUT, *METRICS) if (file := Path(path, name)).is_file()]
    return _read(path, tuple(changed))


@lru_cache(maxsize=2)
def _read(path: str, _changed: tuple[int, ...]) -> _Tables:
    here = Path(path)
    try:
        weights = np.load(here / WEIGHTS, mmap_mode="r", allow_pickle=False)
        if weights.ndim != 2 or weights.dtype.kind != "f":
            raise ValueError(f"{WEIGHTS}: holds {weights.dtype}{list(weights.shape)}, expected floats, a row each")
        tensors = _layout((here / LAYOUT).read_text(), weights.shape[1])
        models, rows = _metrics(here, len(weights))
    except (OSError, ValueError, EOFError, zlib.error, csv.Error) as error:
        raise StoreError(f"{path}: is no Small CNN Zoo that can be read ({error})") from None
    return _Tables(weights, tensors, models, rows)


def _layout(text: str, dimension: int) -> tuple[tuple[str, tuple[int, ...], int], ...]:
    tensors = []
    for line in csv.DictReader(io.StringIO(text)):
        try:
            name, first, end = line["varname"], int(line["start_idx"]), int(line["end_idx"])
            said = ast.literal_eval(line["shape"])
        except (KeyError, TypeError, ValueError, SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"{LAYOUT}: expected the columns varname, start_idx, end_idx and shape") from None
        shape = tuple(int(side) for side in (said if isinstance(said, (tuple, list)) else (said,)))
        if prod(shape) != end - first or min(shape, default=1) < 1:
            raise ValueError(f"{LAYOUT}: {name} has shape {shape} and {end - first} columns")
        tensors.append((name.replace("/", ".").removesuffix(":0"), shape, first))
    tensors.sort(key=lambda tensor: tensor[2])
    ends = [first + prod(shape) for _, shape, first in tensors]
    if [first for _, _, first in tensors] != [0, *ends[:-1]] or ends[-1:] != [dimension]:
        raise ValueError(
            f"{LAYOUT}: its tensors leave gaps, overlap, or are not of the {dimension} columns of {WEIGHTS}"
        )
    return tuple(tensors)


def _metrics(
    here: Path, count: int
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[int, tuple[int, dict[str, float]]]]]:
    packed = here / METRICS[0]
    if packed.is_file():
        with gzip.open(packed) as file:
            data = file.read(_MOST_TABLE_BYTES + 1)
        if len(data) > _MOST_TABLE_BYTES:
            raise ValueError(f"{METRICS[0]}: is more than {_MOST_TABLE_BYTES} bytes")
    else:
        data = (here / METRICS[1]).read_bytes()
    models: dict[str, dict[str, Any]] = {}
    rows: dict[str, dict[int, tuple[int, dict[str, float]]]] = {}
    at = -1
    for at, line in enumerate(csv.DictReader(io.StringIO(data.decode()))):
        try:
            model, step = str(line["modeldir"]).rstrip("/").rpartition("/")[2], int(float(line["step"]))
            metrics = {theirs: float(line[ours]) for ours, theirs in _NAMES.items() if line.get(ours)}
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"{METRICS[1]}: row {at} has no modeldir and step, or metrics that are no numbers"
            ) from None
        if model not in models:
            said = {name.removeprefix(_CONFIG): value for name, value in line.items() if str(name).startswith(_CONFIG)}
            models[model] = {_COLUMNS.get(name, name): _typed(value) for name, value in said.items()}
        if step in rows.setdefault(model, {}):
            raise ValueError(f"{METRICS[1]}: row {at} is of {model} after step {step}, as is another")
        rows[model][step] = (at, metrics)
    if at + 1 != count:
        raise ValueError(f"{METRICS[1]} has {at + 1} rows, {WEIGHTS} {count}")
    return models, rows


def _typed(text: str | None) -> Any:
    """A value of a table: a number where it is one, null where there is nothing."""
    if not text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
