"""Shares: the rows of a bag in parts that are read by themselves, wherever and whenever they are needed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.remedies import OF_A_RUN, OF_ANYBODY
from zoo_pipeline.store.shards import open_shard

WEIGHTS = "weights"
SHARE_BYTES = 32 << 20  # of weights in a share of a file, where its row groups allow that
_BATCH_BYTES = 16 << 20

Rows = NDArray[np.int64]


class Share(Protocol):
    """Some rows of a bag."""

    def read(self) -> Iterator[NDArray[np.float32]]:
        """Their weights, float32[m, d] at a time."""
        ...


@dataclass(frozen=True)
class HeldShare:
    """Rows whose weights float32[n, d] are in memory."""

    weights: NDArray[np.float32]

    def read(self) -> Iterator[NDArray[np.float32]]:
        """All at once."""
        yield self.weights


@dataclass(frozen=True)
class FileShare:
    """The rows of some row groups of a Parquet file; it can be sent to other processes.

    Attributes:
        place: root of the file.
        name: its path there.
        shown: what a plain file is called in messages; None for a run's.
        groups: numbers of the row groups.
        dimension: of the rows that belong to the share; others are left out.
        diverged: models whose weights are read as NaN.
    """

    place: str
    name: str
    shown: str | None
    groups: tuple[int, ...]
    dimension: int
    diverged: frozenset[int] = frozenset()

    def read(self) -> Iterator[NDArray[np.float32]]:
        """Some rows at a time.

        Raises:
            StoreError: the file is missing or damaged.
        """
        with open_shard(Files(self.place), self.name, OF_ANYBODY if self.shown else OF_A_RUN) as file:
            try:
                for _, weights, table in blocks(file, ["model_id"] if self.diverged else [], self.groups):
                    if weights.shape[1] == self.dimension:
                        yield self._without_diverged(weights, table)
            except StoreError as error:
                raise StoreError(f"{self.shown or f'{self.place}/{self.name}'}: {error}") from None

    def _without_diverged(self, weights: NDArray[np.float32], table: pa.Table) -> NDArray[np.float32]:
        if not self.diverged:
            return weights
        lost = np.isin(table["model_id"].to_numpy(), list(self.diverged))
        return np.where(lost[:, None], np.float32(np.nan), weights) if lost.any() else weights


def file_shares(
    file: pq.ParquetFile, place: str, name: str, shown: str | None, dimension: int, diverged: frozenset[int]
) -> tuple[FileShare, ...]:
    """Cut a file into shares of about `SHARE_BYTES`; no row group is cut."""
    shares, groups, size = [], list[int](), 0
    for number in range(file.num_row_groups):
        groups.append(number)
        size += file.metadata.row_group(number).num_rows * dimension * 4
        if size >= SHARE_BYTES or number == file.num_row_groups - 1:
            shares.append(FileShare(place, name, shown, tuple(groups), dimension, diverged))
            groups, size = [], 0
    return tuple(shares)


def blocks(
    file: pq.ParquetFile, columns: list[str], groups: tuple[int, ...] | None = None
) -> Iterator[tuple[Rows, NDArray[np.float32], pa.Table]]:
    """Rows of equal length from a file's column of weights, some at a time.

    Args:
        file: with lists of float16, float32 or float64.
        columns: others that are wanted.
        groups: numbers of the row groups; None for all.

    Yields:
        The numbers of the rows among all that are read, their weights, and the other columns of the same rows.

    Raises:
        StoreError: a row has no weights, or nulls among them.
    """
    wanted = tuple(range(file.num_row_groups)) if groups is None else groups
    before = 0
    for number in wanted:
        for batch in file.iter_batches(
            _batch_rows(file, number), [number], columns=[WEIGHTS, *columns], use_threads=False
        ):
            table = pa.Table.from_batches([batch])
            for rows, weights in _equal_lengths(batch.column(batch.schema.get_field_index(WEIGHTS)), before):
                others = table.select(columns)
                yield rows, weights, others if len(rows) == len(batch) else others.take(pa.array(rows - before))
            before += len(batch)


def _batch_rows(file: pq.ParquetFile, group: int) -> int:
    """How many rows of a row group are read at once."""
    metadata = file.metadata.row_group(group)
    at = next(at for at in range(metadata.num_columns) if metadata.column(at).path_in_schema.split(".")[0] == WEIGHTS)
    rows = int(metadata.num_rows)
    row_bytes = 4 * max(1, int(metadata.column(at).num_values) // max(1, rows))
    return max(1, min(rows, _BATCH_BYTES // row_bytes))


def _equal_lengths(lists: Any, start: int) -> Iterator[tuple[Rows, NDArray[np.float32]]]:
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
