"""Plain Parquet files with a column `weights`, written by anybody, as bags of checkpoints."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from zoo_pipeline.counts import plural
from zoo_pipeline.errors import StoreError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.bag import UNKNOWN, Bag, Integers, named
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.remedies import OF_ANYBODY
from zoo_pipeline.store.schema import LAYOUT_KEY, METRIC_NAMES
from zoo_pipeline.store.shards import open_shard
from zoo_pipeline.store.shares import WEIGHTS, HeldShare, Share, blocks, file_shares

TRUTH = ("model_id", "epoch", "step")  # each may be missing
METRICS = pa.schema([(name, pa.float32()) for name in METRIC_NAMES])
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


@dataclass
class _Rows:
    """What is known of a file's rows of one length, by block: numbers, truth, and perhaps weights."""

    numbers: list[Integers] = field(default_factory=list)
    truth: list[list[Integers]] = field(default_factory=list)
    weights: list[NDArray[np.float32]] = field(default_factory=list)


def read_plain(files: Files, name: str, shown: str, layout: Layout | None = None, *, held: bool = True) -> list[Bag]:
    """Read one file: a bag for every length of its rows.

    The column `weights` holds lists (of fixed size or not) of float16, float32 or float64; `model_id`, `epoch` and
    `step` may be missing, null, or negative where they are unknown.

    Args:
        files: where it lies.
        name: its path there.
        shown: what the file is called in keys and messages. The folder in it stands for the run: files of one folder
            number their models together.
        layout: of rows of its dimension where the file has none in its metadata.
        held: whether the bags hold the weights; else they read them from the file when they are asked to.

    Raises:
        StoreError: it is missing, damaged, or not such a file.
    """
    with open_shard(files, name, OF_ANYBODY) as file:
        try:
            own = _layout(file)
            _check(file.schema_arrow)
            lengths = _rows(file, own, held=held)
            fitting = layout.dimension if layout else None
            return [
                _bag(
                    shown,
                    own or (layout if dimension == fitting else None),
                    rows,
                    (HeldShare(_joined(rows.weights)),)
                    if held
                    else file_shares(file, files.root, name, shown, dimension, frozenset()),
                    dimension,
                )
                for dimension, rows in lengths.items()
            ]
        except StoreError as error:
            raise StoreError(f"{shown}: {error}") from None


def plain_rows(files: Files, name: str) -> int:
    """How many rows a file has.

    Raises:
        StoreError: it is missing, or damaged.
    """
    with open_shard(files, name, OF_ANYBODY) as file:
        return int(file.metadata.num_rows)


def _rows(file: pq.ParquetFile, layout: Layout | None, *, held: bool) -> dict[int, _Rows]:
    """The rows by their length. Where that is in the schema and the weights are not wanted, they are not read."""
    columns = [name for name in TRUTH if name in file.schema_arrow.names]
    kind = file.schema_arrow.field(WEIGHTS).type
    lengths: dict[int, _Rows] = {}
    if not held and pa.types.is_fixed_size_list(kind):
        table = file.read(columns=columns, use_threads=False)
        rows = np.arange(file.metadata.num_rows)
        if len(rows):
            _check_length(kind.list_size, 0, layout)
            truth = [whole_numbers(table, name, len(rows)) for name in TRUTH]
            lengths[kind.list_size] = _Rows([rows], [truth])
        return lengths
    for numbers, weights, table in blocks(file, columns):
        dimension = weights.shape[1]
        _check_length(dimension, int(numbers[0]), layout)
        rows_of_length = lengths.setdefault(dimension, _Rows())
        rows_of_length.numbers.append(numbers)
        rows_of_length.truth.append([whole_numbers(table, name, len(numbers)) for name in TRUTH])
        if held:
            rows_of_length.weights.append(weights)
    return lengths


def _check_length(dimension: int, row: int, layout: Layout | None) -> None:
    if layout is not None and layout.dimension != dimension:
        raise StoreError(
            f"row {row} has {plural(dimension, 'weight')}, the layout in its metadata {layout.dimension:,}"
        )


def _joined(blocks: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]


def _bag(shown: str, layout: Layout | None, known: _Rows, shares: tuple[Share, ...], dimension: int) -> Bag:
    rows = np.concatenate(known.numbers)
    model_id, epoch, step = (np.concatenate(columns) for columns in zip(*known.truth, strict=True))
    keys = {
        "run": named(shown.rpartition("/")[0] or ".", len(rows)),
        "model_id": pa.array(model_id, mask=model_id < 0),
        "epoch": pa.array(epoch, mask=epoch < 0),
        "file": named(shown, len(rows)),
        "row": rows,
    }
    return Bag(
        shares=shares,
        dimension=dimension,
        layout=layout,
        keys=pa.table(keys),
        step=step,
        metrics=pa.table([pa.nulls(len(rows), field.type) for field in METRICS], schema=METRICS),
        name=shown,
    )


def _layout(file: pq.ParquetFile) -> Layout | None:
    """The layout in a file's metadata; None where there is none."""
    text = (file.schema_arrow.metadata or {}).get(LAYOUT_KEY)
    return None if text is None else Layout.from_json(text)


def _check(schema: pa.Schema) -> None:
    if WEIGHTS not in schema.names:
        found = ", ".join(schema.names[:5]) or "none"
        raise StoreError(f"has no column {WEIGHTS} (has {found}); rename the one that holds a checkpoint's weights")
    found = schema.field(WEIGHTS).type
    if not any(is_list(found) for is_list in _LISTS) or not pa.types.is_floating(found.value_type):
        raise StoreError(f"column {WEIGHTS}: is {found}, expected a list of float16, float32 or float64")
    if pa.types.is_fixed_size_list(found) and found.list_size == 0:
        raise StoreError(f"column {WEIGHTS}: is {found}, lists without a weight")


def whole_numbers(table: pa.Table, name: str, rows: int) -> Integers:
    """A column of whole numbers, int64[rows], also where stored as floats; −1 where it is missing, null or NaN.

    Raises:
        StoreError: it holds something else.
    """
    if name not in table.column_names or pa.types.is_null(table[name].type):
        return np.full(rows, UNKNOWN)
    column = table[name]
    if pa.types.is_floating(column.type):  # pandas makes floats of whole numbers that some rows lack
        values = np.asarray(column.cast(pa.float64()).fill_null(UNKNOWN).to_numpy())
        values = np.where(np.isnan(values), UNKNOWN, values)
        if (wrong := values[(np.floor(values) != values) | (np.abs(values) > 2**53)]).size:
            raise StoreError(f"column {name}: holds {wrong[0]:g}, expected whole numbers")
        return values.astype(np.int64)
    if not pa.types.is_integer(column.type):
        raise StoreError(
            f"column {name}: is {column.type}, expected whole numbers; rename it where it is something else"
        )
    try:
        return np.asarray(column.cast(pa.int64()).fill_null(UNKNOWN).to_numpy())
    except pa.ArrowInvalid as error:
        raise StoreError(f"column {name}: {error}") from None
