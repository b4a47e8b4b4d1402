"""A run as a Hugging Face dataset: checkpoints joined with their models' hyperparameters, Parquet files by split."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.exporting.rows import Layouts
from zoo_pipeline.exporting.selection import ChosenRows
from zoo_pipeline.ranges import SHARD_BYTES
from zoo_pipeline.store.schema import (
    LAYOUT_KEY,
    LEAF,
    METRIC_NAMES,
    ROW_GROUP_BYTES,
    ROW_GROUP_ROWS,
    SCALARS,
    VALIDATION_NAMES,
    buffers_schema,
    checkpoint_schema,
)
from zoo_pipeline.store.shards import vector_rows

DATA = "data"
ONLY_SPLIT = "train"  # what the hub calls the split of a dataset without splits
FINAL = "final_"  # before the metrics of models, which checkpoints have, too
VECTORS = ("weights", "buffers")
_SPLIT = re.compile(r"\w+")


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of the dataset.

    Attributes:
        name: where it lies in the folder.
        split: that it belongs to.
        parts: whose rows it has, in this order.
    """

    name: str
    split: str
    parts: tuple[ChosenRows, ...]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(len(part.rows) for part in self.parts)


def data_files(
    parts: Sequence[ChosenRows], models: pa.Table, dimension: int, file_bytes: int = SHARD_BYTES
) -> list[DataFile]:
    """Which rows go into which file: those of a split in the order of the run, up to a size.

    Args:
        parts: what is exported.
        models: models.parquet; where it has no column `split`, all rows are of one.
        dimension: number of weights and buffers of a row.
        file_bytes: raw, which a file passes only where a single shard has more of the split.

    Raises:
        StoreError: a model has no row in `models`, or a split's name is none for the hub.
    """
    splits = _splits_of_parts(parts, models)
    files = []
    for split in sorted({name for names in splits for name in np.unique(names)}, key=_usual_order):
        batches: list[list[ChosenRows]] = []
        held = 0
        for part, names in zip(parts, splits, strict=True):
            of_split = part.where(names == split)
            if not len(of_split.rows):
                continue
            size = len(of_split.rows) * 4 * dimension
            if not batches or held + size > file_bytes:
                batches.append([])
                held = 0
            batches[-1].append(of_split)
            held += size
        files += [
            DataFile(f"{DATA}/{split}-{at:05d}-of-{len(batches):05d}.parquet", str(split), tuple(batch))
            for at, batch in enumerate(batches)
        ]
    return files


def hub_schema(models: pa.Schema, layouts: Layouts, scalars: Sequence[pa.Field] = SCALARS) -> pa.Schema:
    """The columns of the dataset: a checkpoint's, its model's, and last the vectors; with the layout as metadata."""
    of_models = [
        field.with_name(_column_of(field.name))
        for field in models
        if field.name not in ("model_id", *(column.name for column in SCALARS[1:3]), *VECTORS)
    ]
    vectors = [checkpoint_schema(layouts.weights).field("weights")]
    if layouts.buffers is not None:
        vectors.append(buffers_schema(layouts.buffers).field("buffers"))
    return pa.schema([*scalars, *of_models, *vectors], metadata={LAYOUT_KEY: layouts.weights.to_json().encode()})


def joined(table: pa.Table, models: pa.Table, schema: pa.Schema) -> pa.Table:
    """Checkpoints as of `rows.row_groups` with the columns of their models, as `hub_schema` has them.

    Raises:
        StoreError: a model has no row, or a column holds nulls that must not.
    """
    at = pa.array(_rows_of_models(table["model_id"].to_numpy(), models))
    columns = {_column_of(name): models[name].take(at) for name in models.column_names}
    columns |= {name: table[name] for name in table.column_names}
    for field in schema:
        if field.name in VECTORS:
            vector_rows(table, field.name)
        elif not field.nullable and columns[field.name].null_count:
            raise StoreError(f"column {field.name}: holds nulls, which the format does not allow; run zoo verify")
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def parquet_bytes(schema: pa.Schema, tables: Iterable[pa.Table]) -> Iterator[bytes]:
    """A Parquet file in pieces, one for each row group; of the rows no more than two row groups are in memory.

    Encoded as a shard is: zstd, the vectors' bytes split by place, row groups of at most 64 MiB, page checksums.
    """
    vectors = [name for name in VECTORS if name in schema.names]
    dimension = sum(schema.field(name).type.list_size for name in vectors)
    rows = max(1, min(ROW_GROUP_ROWS, ROW_GROUP_BYTES // (4 * dimension)))
    sink = _Pieces()
    writer = pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in schema.names if name not in vectors],
        write_statistics=[name for name in schema.names if name not in vectors],
        column_encoding={f"{name}.{LEAF}": "BYTE_STREAM_SPLIT" for name in vectors},
        write_page_index=True,
        write_page_checksum=True,
    )
    for table in _regrouped(tables, rows):
        writer.write_table(table, row_group_size=rows)
        yield sink.taken()
    writer.close()
    yield sink.taken()


class _Pieces:
    """A file that is only written to, and gives away what was written since."""

    closed = False

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._written.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        written, self._written = self._written, []
        return b"".join(written)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def _regrouped(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of a given number, the last one of fewer."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        while (count := sum(map(len, held))) >= rows:
            whole = pa.concat_tables(held)
            yield whole.slice(0, rows)
            held = [whole.slice(rows)] if count > rows else []
    if held:
        yield pa.concat_tables(held)


def _splits_of_parts(parts: Sequence[ChosenRows], models: pa.Table) -> list[NDArray[np.str_]]:
    """The split of every row of every part."""
    if "split" not in models.column_names:
        named = np.full(len(models), ONLY_SPLIT)
    else:
        named = np.asarray(models["split"].to_pylist(), dtype=str)
    for split in np.unique(named):
        if not _SPLIT.fullmatch(split):
            raise StoreError(
                f"models.parquet: has a split {str(split)!r}; the hub takes letters, digits and _, rename it"
            )
    return [named[_rows_of_models(part.contents.model_id[part.rows], models)] for part in parts]


def _rows_of_models(model_ids: NDArray[np.int32], models: pa.Table) -> NDArray[np.int64]:
    """The row of each model in models.parquet, int64[n]."""
    there = models["model_id"].to_numpy()
    order = np.argsort(there, kind="stable")
    at = np.searchsorted(there, model_ids, sorter=order)
    rows = order[np.minimum(at, len(order) - 1)] if len(order) else np.zeros(len(model_ids), dtype=np.int64)
    if not len(order) or (there[rows] != model_ids).any():
        missing = sorted({*model_ids.tolist()} - {*there.tolist()})
        raise StoreError(f"models.parquet: has no row of model {missing[0]}, of which there are checkpoints")
    return rows.astype(np.int64)


def _column_of(name: str) -> str:
    """What a column of models.parquet is called beside the checkpoints' own."""
    return FINAL + name if name in (*METRIC_NAMES, *VALIDATION_NAMES) else name


def _usual_order(split: str) -> tuple[int, str]:
    usual = ("train", "validation", "test")
    return (usual.index(split) if split in usual else len(usual), split)
