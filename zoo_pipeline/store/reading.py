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
from zoo_pipeline.store.faults import reason
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
        scalars: the other columns of the first file but nested ones, those that the format names first.
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
            self.scalars = pa.schema([shard.schema_arrow.field(name) for name in self._scalars_of(shard)])

    def rows(self, columns: Sequence[str] | str | None, wanted: Wanted) -> pa.Table:
        """These columns of the wanted rows; None: all scalar ones. What a file lacks is null in its rows.

        Raises:
            ConfigError: no file has such a column.
            StoreError: a file is missing or damaged, or a column has other types in others.
        """
        asked = [columns] if isinstance(columns, str) else columns
        batches = [batch.filter(pa.array(keep)) for batch, keep in self._row_groups(asked, wanted)]
        first = pa.schema([field for field in self.scalars if asked is None or field.name in asked]).empty_table()
        try:
            table = pa.concat_tables([first, *batches], promote_options="default").combine_chunks()
        except pa.ArrowException as error:
            raise StoreError(f"{self._files.root}: files have columns of other types ({reason(error)})") from None
        for name in asked or ():
            if name not in table.column_names:
                known = [*self.scalars.names, *table.column_names]
                expected = ", ".join(dict.fromkeys(known))
                raise ConfigError(
                    f"{self._files.root}: has no column {name}{nearest(str(name), known)}; expected some of {expected}"
                )
        return table if asked is None else table.select(asked)

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

    def _row_groups(
        self, columns: Sequence[str] | None, wanted: Wanted
    ) -> Iterator[tuple[pa.Table, NDArray[np.bool_]]]:
        """Row group by row group: the columns, and which rows are wanted; row groups without any are not read."""
        for name in self._names:
            with self._open(name) as shard:
                if self._layout_of(shard, name) != self.layout:
                    raise StoreError(f"{self._files.at(name)}: has another layout than {self._names[0]}")
                there = shard.schema_arrow.names
                own = self._scalars_of(shard) if columns is None else [each for each in columns if each in there]
                for index in range(shard.num_row_groups):
                    if all(_may_hold(shard, index, column, values) for column, values in wanted.items()):
                        batch = shard.read_row_group(
                            index, columns=["model_id", *{*own, *wanted} - {"model_id"}], use_threads=False
                        )
                        keep = np.ones(len(batch), dtype=bool)
                        for column, values in wanted.items():
                            keep &= np.isin(batch[column].to_numpy(), list(values))
                        yield batch.select(own), keep

    def _open(self, name: str) -> AbstractContextManager[pq.ParquetFile]:
        return open_shard(self._files, name, size=self._sizes[name])

    def _scalars_of(self, shard: pq.ParquetFile) -> list[str]:
        """Names of the columns that have one value in each row, those that the format names first."""
        *named, vectors = self._schema(self.layout).names
        more = (field for field in shard.schema_arrow if field.name not in (*named, vectors))
        return [*named, *(field.name for field in more if not pa.types.is_nested(field.type))]

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
