"""The chosen rows of a shard, a row group at a time, with the buffers beside them."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from zoo_pipeline.exporting.selection import ChosenRows
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.schema import SCALARS, buffers_schema
from zoo_pipeline.store.shards import open_shard, read_layout


@dataclass(frozen=True)
class Layouts:
    """What the weights of a run's checkpoints are, and their buffers; None where they have none."""

    weights: Layout
    buffers: Layout | None = None


def layouts_of(files: Files, part: ChosenRows) -> Layouts:
    """The layouts in the footers of a shard and of its buffers.

    Raises:
        StoreError: one of them cannot be read.
    """
    contents = part.contents
    with open_shard(files, contents.shard, size=contents.shard_bytes) as shard:
        weights = read_layout(shard)
    if contents.buffers is None:
        return Layouts(weights)
    with open_shard(files, contents.buffers, size=contents.buffers_bytes) as beside:
        return Layouts(weights, read_layout(beside, buffers_schema))


def row_groups(files: Files, part: ChosenRows, scalars: Sequence[pa.Field] = SCALARS) -> Iterator[pa.Table]:
    """The rows of a part in their order, a table for each row group that has any; never more than two in memory.

    Args:
        files: of the run.
        part: which rows.
        scalars: columns; one that the shard lacks is null.

    Returns:
        Tables of these scalar columns, `weights` and, where the run has them, `buffers`.

    Raises:
        StoreError: a file is missing, damaged or not of the format.
    """
    contents = part.contents
    beside = (
        open_shard(files, contents.buffers, size=contents.buffers_bytes)
        if contents.buffers is not None
        else nullcontext()
    )
    with open_shard(files, contents.shard, size=contents.shard_bytes) as shard, beside as other:
        read_layout(shard)
        there = [field.name for field in scalars if field.name in shard.schema_arrow.names]
        rows = _RowsByNumber(shard, [*there, "weights"])
        more = _RowsByNumber(other, ["buffers"]) if other is not None else None
        for wanted in rows.by_group(part.rows):
            table = rows.take(wanted)
            for field in scalars:
                if field.name not in there:
                    table = table.append_column(field, pa.nulls(len(table), field.type))
            if more is not None:
                table = table.append_column(more.field, more.take(wanted)["buffers"])
            yield table


class _RowsByNumber:
    """Rows of a Parquet file by their numbers; the row group read last is kept."""

    def __init__(self, file: pq.ParquetFile, columns: list[str]) -> None:
        self._file, self._columns = file, columns
        sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._kept: tuple[int, pa.Table | None] = (-1, None)

    @property
    def field(self) -> pa.Field:
        return self._file.schema_arrow.field(self._columns[-1])

    def by_group(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Ascending rows, cut at the borders of row groups."""
        return [piece for piece in np.split(rows, np.searchsorted(rows, self._ends[:-1])) if len(piece)]

    def take(self, rows: NDArray[np.int64]) -> pa.Table:
        """Ascending rows as one table."""
        pieces = []
        for piece in self.by_group(rows):
            index = int(np.searchsorted(self._ends, piece[0], side="right"))
            if self._kept[0] != index:
                self._kept = (-1, None)  # let go of it before the next is read
                self._kept = (index, self._file.read_row_group(index, columns=self._columns, use_threads=False))
            table, start = self._kept[1], int(self._ends[index - 1]) if index else 0
            assert table is not None
            pieces.append(table if len(piece) == len(table) else table.take(pa.array(piece - start)))
        return pieces[0] if len(pieces) == 1 else pa.concat_tables(pieces)
