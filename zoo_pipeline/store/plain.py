"""Plain Parquet files with a column `weights`, written by anybody, as bags of checkpoints."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from zoo_pipeline.counts import plural
from zoo_pipeline.errors import StoreError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.bag import UNKNOWN, Bag, Integers, named
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.schema import LAYOUT_KEY, METRIC_NAMES
from zoo_pipeline.store.shards import open_shard

WEIGHTS = "weights"
TRUTH = ("model_id", "epoch", "step")  # each may be missing
METRICS = pa.schema([(name, pa.float32()) for name in METRIC_NAMES])
_LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
_REMEDY = "name the files that are there"

Block = tuple[Integers, NDArray[np.float32], list[Integers]]  # numbers of rows, their weights, their truth


def read_plain(files: Files, name: str, shown: str, layout: Layout | None = None) -> list[Bag]:
    """Read one file: a bag for every length of its rows.

    The column `weights` holds lists (of fixed size or not) of float16, float32 or float64; `model_id`, `epoch` and
    `step` may be missing, null, or negative where they are unknown.

    Args:
        files: where it lies.
        name: its path there.
        shown: what the file is called in keys and messages. The folder in it stands for the run: files of one folder
            number their models together.
        layout: of rows of its dimension where the file has none in its metadata.

    Raises:
        StoreError: it is missing, damaged, or not such a file.
    """
    with open_shard(files, name, _REMEDY) as file:
        try:
            own = _layout(file)
            blocks: dict[int, list[Block]] = {}
            for rows, weights, truth in _blocks(file):
                dimension = weights.shape[1]
                if own is not None and own.dimension != dimension:
                    raise StoreError(
                        f"row {rows[0]} has {plural(dimension, 'weight')}, the layout in its metadata {own.dimension:,}"
                    )
                blocks.setdefault(dimension, []).append((rows, weights, truth))
        except StoreError as error:
            raise StoreError(f"{shown}: {error}") from None
    fitting = layout.dimension if layout else None
    return [
        _bag(shown, own or (layout if dimension == fitting else None), parts) for dimension, parts in blocks.items()
    ]


def _bag(shown: str, layout: Layout | None, blocks: list[Block]) -> Bag:
    rows = np.concatenate([rows for rows, _, _ in blocks])
    model_id, epoch, step = (np.concatenate(columns) for columns in zip(*(truth for *_, truth in blocks), strict=True))
    keys = {
        "run": named(shown.rpartition("/")[0] or ".", len(rows)),
        "model_id": pa.array(model_id, mask=model_id < 0),
        "epoch": pa.array(epoch, mask=epoch < 0),
        "file": named(shown, len(rows)),
        "row": rows,
    }
    return Bag(
        weights=np.concatenate([weights for _, weights, _ in blocks]) if len(blocks) > 1 else blocks[0][1],
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


def _blocks(file: pq.ParquetFile) -> Iterator[Block]:
    """Rows of equal length, row group by row group, as float32."""
    schema = file.schema_arrow
    _check(schema)
    columns = [WEIGHTS, *(name for name in TRUTH if name in schema.names)]
    before = 0  # rows of earlier row groups
    for number in range(file.num_row_groups):
        table = file.read_row_group(number, columns=columns, use_threads=False)
        truth = [whole_numbers(table, name) for name in TRUTH]
        start = 0
        for chunk in table[WEIGHTS].chunks:
            for rows, weights in _equal_lengths(chunk, before + start):
                yield rows, weights, [column[rows - before] for column in truth]
            start += len(chunk)
        before += len(table)


def _check(schema: pa.Schema) -> None:
    if WEIGHTS not in schema.names:
        found = ", ".join(schema.names[:5]) or "none"
        raise StoreError(f"has no column {WEIGHTS} (has {found}); rename the one that holds a checkpoint's weights")
    found = schema.field(WEIGHTS).type
    if not any(is_list(found) for is_list in _LISTS) or not pa.types.is_floating(found.value_type):
        raise StoreError(f"column {WEIGHTS}: is {found}, expected a list of float16, float32 or float64")


def _equal_lengths(lists: Any, start: int) -> Iterator[tuple[Integers, NDArray[np.float32]]]:
    """The rows of one chunk by their length: their numbers, counted from `start`, and their values float32[k, d]."""
    if lists.null_count:
        raise StoreError(
            f"row {start + lists.is_null().index(True).as_py()} has no weights, but null; leave such rows out"
        )
    flat = lists.flatten()
    if flat.null_count:
        raise StoreError(f"column {WEIGHTS}: holds nulls among the numbers; write NaN for what is not a number")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and such rows are left out
        values = flat.to_numpy().astype(np.float32, copy=False)
    if pa.types.is_fixed_size_list(lists.type):
        lengths = np.full(len(lists), lists.type.list_size)
    else:
        lengths = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    if not lengths.all():
        raise StoreError(f"row {start + int(lengths.argmin())} has no weights, but an empty list; leave such rows out")
    ends = np.cumsum(lengths)
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        if len(rows) == len(lengths):
            yield start + rows, values.reshape(-1, length)
        else:
            yield start + rows, np.stack([values[end - length : end] for end in ends[rows]])


def whole_numbers(table: pa.Table, name: str) -> Integers:
    """A column of whole numbers, int64[n], also where they are stored as floats; −1 where it is missing, null or NaN.

    Raises:
        StoreError: it holds something else.
    """
    if name not in table.column_names or pa.types.is_null(table[name].type):
        return np.full(len(table), UNKNOWN)
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
