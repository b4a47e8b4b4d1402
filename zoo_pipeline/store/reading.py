"""Files of checkpoints that read as one table: the shards of a run, or the buffers beside them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.mistakes import nearest
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.shards import open_shard, read_layout, vector_rows

Wanted = Mapping[str, Sequence[int]]  # the values wanted of some columns; of columns not named all


@dataclass(frozen=True)
class RowGroup:
    """What is read of a file at once.

    Attributes:
        file: its name.
        number: of the row group in it.
        rows: how many it has.
    """

    file: str
    number: int
    rows: int


class CheckpointFiles:
    """Files with rows by model_id and epoch, and vectors in their last column.

    Attributes:
        layout: which slice of the vectors is which tensor.
        scalars: the other columns, those that the format names first.
    """

    def __init__(self, files: Files, sizes: Mapping[str, int | None], schema: Callable[[Layout], pa.Schema]) -> None:
        """Look at the first file.

        Args:
            files: where they lie.
            sizes: their names, and how many bytes each must have; None where that is not known.
            schema: what the columns are, by the layout.
        """
        self._files, self._sizes, self._names, self._schema = files, sizes, list(sizes), schema
        with self._open(self._names[0]) as shard:
            self.layout = self._layout_of(shard, self._names[0])
            *named, vectors = schema(self.layout).names
            more = [name for name in shard.schema_arrow.names if name not in (*named, vectors)]
            self.scalars = pa.schema([shard.schema_arrow.field(name) for name in (*named, *more)])

    def rows(self, columns: Sequence[str] | None, wanted: Wanted) -> pa.Table:
        """These columns of the wanted rows; None: all scalar ones.

        Raises:
            ConfigError: there is no such column.
            StoreError: a file is missing or damaged, or has other columns than the first.
        """
        columns = self.scalars.names if columns is None else list(columns)
        for name in columns:
            if name not in self.scalars.names:
                known = ", ".join(self.scalars.names)
                near = nearest(str(name), self.scalars.names)
                raise ConfigError(f"{self._files.root}: has no column {name}{near}; expected some of {known}")
        batches = [batch.filter(pa.array(keep)) for batch, keep in self._row_groups(columns, wanted)]
        empty = pa.schema([self.scalars.field(name) for name in columns]).empty_table()
        return pa.concat_tables(batches or [empty]).combine_chunks()

    def vectors(self, wanted: Wanted) -> NDArray[np.float32]:
        """The vectors of the wanted rows, float32[n, d]."""
        count = sum(int(keep.sum()) for _, keep in self._row_groups([], wanted))
        vectors = np.empty((count, self.layout.dimension), dtype=np.float32)
        column = self._schema(self.layout).names[-1]
        start = 0
        for batch, keep in self._row_groups([column], wanted):
            end = start + int(keep.sum())
            np.compress(keep, vector_rows(batch, column), axis=0, out=vectors[start:end])
            start = end
        return vectors

    def row_groups(self) -> list[RowGroup]:
        """All row groups, in the order of the rows."""
        groups = []
        for name in self._names:
            with self._open(name) as shard:
                if self._layout_of(shard, name) != self.layout:
                    raise StoreError(f"{self._files.at(name)}: has another layout than {self._names[0]}")
                sizes = [shard.metadata.row_group(number).num_rows for number in range(shard.num_row_groups)]
            groups += [RowGroup(name, number, rows) for number, rows in enumerate(sizes)]
        return groups

    def read_vectors(self, groups: Iterable[RowGroup]) -> Iterator[NDArray[np.float32]]:
        """The vectors float32[m, d] of these row groups, one after the other, read-only.

        Raises:
            StoreError: a file is missing or damaged, or a row group is no longer as it was.
        """
        column = self._schema(self.layout).names[-1]
        for name, of_file in groupby(groups, lambda group: group.file):
            with self._open(name) as shard:
                for group in of_file:
                    found = shard.num_row_groups > group.number and shard.metadata.row_group(group.number).num_rows
                    if found != group.rows or self._layout_of(shard, name) != self.layout:
                        raise StoreError(f"{self._files.at(name)}: was replaced while it was read; open the run again")
                    yield vector_rows(shard.read_row_group(group.number, columns=[column], use_threads=False), column)

    def _row_groups(self, columns: Sequence[str], wanted: Wanted) -> Iterator[tuple[pa.Table, NDArray[np.bool_]]]:
        """Row group by row group: the columns, and which rows are wanted; row groups without any are not read."""
        for name in self._names:
            with self._open(name) as shard:
                if self._layout_of(shard, name) != self.layout:
                    raise StoreError(f"{self._files.at(name)}: has another layout than {self._names[0]}")
                self._check_scalars(shard, name, columns)
                for index in range(shard.num_row_groups):
                    if all(_may_hold(shard, index, column, values) for column, values in wanted.items()):
                        batch = shard.read_row_group(
                            index, columns=["model_id", *{*columns, *wanted} - {"model_id"}], use_threads=False
                        )
                        keep = np.ones(len(batch), dtype=bool)
                        for column, values in wanted.items():
                            keep &= np.isin(batch[column].to_numpy(), list(values))
                        yield batch.select(columns), keep

    def _open(self, name: str) -> AbstractContextManager[pq.ParquetFile]:
        return open_shard(self._files, name, size=self._sizes[name])

    def _check_scalars(self, shard: pq.ParquetFile, name: str, columns: Iterable[str]) -> None:
        """Hold the columns that only some runs have against those of the first file."""
        for column in {*columns} & {*self.scalars.names}:
            expected = self.scalars.field(column).type
            found = shard.schema_arrow.field(column).type if column in shard.schema_arrow.names else "missing"
            if found != expected:
                first = self._names[0]
                raise StoreError(f"{self._files.at(name)}: column {column}: is {found}, but {expected} in {first}")

    def _layout_of(self, shard: pq.ParquetFile, name: str) -> Layout:
        try:
            return read_layout(shard, self._schema)
        except StoreError as error:
            raise StoreError(f"{self._files.at(name)}: {error}") from None


def _may_hold(shard: pq.ParquetFile, index: int, column: str, values: Sequence[int]) -> bool:
    """Whether a row group may have rows with these values in a column, by its statistics."""
    group = shard.metadata.row_group(index)
    found = [group.column(at) for at in range(group.num_columns) if group.column(at).path_in_schema == column]
    if not found or found[0].statistics is None or not found[0].statistics.has_min_max:
        return True
    return any(found[0].statistics.min <= value <= found[0].statistics.max for value in values)
