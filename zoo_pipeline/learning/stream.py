"""`ZooStream`: checkpoints of a run for PyTorch, shard by shard, in bounded memory."""

from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.context import get_spawning_popen
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed
from torch.utils.data import IterableDataset, get_worker_info

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.learning.choice import Epochs, Wanted, choose
from zoo_pipeline.learning.dataset import COLUMNS
from zoo_pipeline.learning.properties import Sample, batch_of, samples_of
from zoo_pipeline.store.options import StorageOptions, storage_options, use_storage_options
from zoo_pipeline.zoo import Zoo

_Block = tuple[NDArray[np.int64], NDArray[np.float32]]  # numbers of chosen rows, and their weights


class ZooStream(IterableDataset[Sample]):
    """Weights and properties of a run's checkpoints, each once, from wherever the run lies.

    Workers of a DataLoader and ranks of `torch.distributed` get row groups of their own, so that together they have
    every row exactly once; ranks may get different numbers of rows (`torch.distributed.algorithms.Join` copes). A
    worker holds `shuffle_rows` rows, or one row group (at most 64 MiB) where that is more, twice at most.

    Attributes:
        rows: how many there are for all workers and ranks together.
    """

    def __init__(
        self,
        run: Zoo | str,
        columns: Sequence[str] | str = COLUMNS,
        *,
        epochs: Epochs = None,
        split: str | None = None,
        split_by: Mapping[str, float] | None = None,
        split_seed: int = 0,
        diverged: bool = False,
        batch_size: int | None = None,
        shuffle_rows: int = 0,
        seed: int = 0,
        rank: int | None = None,
        ranks: int | None = None,
    ) -> None:
        """Choose rows.

        Args:
            run: as of `ZooDataset`, and so are the next six.
            columns: see there.
            epochs: see there.
            split: see there.
            split_by: see there.
            split_seed: see there.
            diverged: see there.
            batch_size: give batches of so many rows (the last of a worker may be smaller), for a DataLoader whose
                `batch_size` is None, which is faster; None: give rows one by one.
            shuffle_rows: how many rows, of row groups in random order, are shuffled together; 0: no shuffling.
            seed: of the shuffling; what it does depends on the epoch, too (`set_epoch`).
            rank: which part of the rows, from 0; None: as `torch.distributed` says where it is initialised, else all.
            ranks: how many parts there are.

        Raises:
            ConfigError: an unknown column, epoch or split, or a rank or size that cannot be.
            StoreError: the run cannot be read; while it is read, also that it is another one by then.
        """
        if (rank is None) != (ranks is None) or (ranks is not None and not 0 <= (rank or 0) < ranks):
            raise ConfigError(f"rank: got {rank} of {ranks} ranks; expected both or none, and 0 <= rank < ranks")
        if min(shuffle_rows, seed) < 0 or (batch_size is not None and batch_size < 1):
            raise ConfigError(
                f"got batch_size {batch_size}, shuffle_rows {shuffle_rows} and seed {seed}; expected 1, 0, 0 or more"
            )
        zoo = Zoo(run) if isinstance(run, str) else run
        self._choice = choose(zoo, Wanted(columns, epochs, split, split_by, split_seed, diverged))
        self._batch_size, self._shuffle_rows, self._seed = batch_size, shuffle_rows, seed
        self._rank = None if rank is None or ranks is None else (rank, ranks)
        self._options: StorageOptions | None = None
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # workers that persist see it change

    @property
    def rows(self) -> int:
        """How many rows there are for all workers and ranks together."""
        return len(self._choice.rows)

    def set_epoch(self, epoch: int) -> None:
        """Say which pass over the data comes next, so that it is shuffled otherwise than the one before."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Sample]:
        for rows, weights in _in_batches(self._blocks(), self._batch_size):
            batch = batch_of(torch.from_numpy(weights), self._choice.properties, rows)
            if self._batch_size is None:
                yield from samples_of(batch)
            else:
                yield batch

    def __getstate__(self) -> dict[str, Any]:
        """What a worker needs to know; secrets of a store only where it is a process that is being started."""
        started = get_spawning_popen() is not None
        return {**self.__dict__, "_rank": self._place(), "_options": storage_options() if started else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        if self._options is not None:
            use_storage_options(self._options)
            self._options = None

    def _place(self) -> tuple[int, int] | None:
        """The rank, and of how many; None where nobody says."""
        if self._rank is None and distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return self._rank

    def _blocks(self) -> Iterator[_Block]:
        """The rows of this rank and worker, some row groups at a time."""
        worker, (rank, ranks) = get_worker_info(), self._place() or (0, 1)
        number, workers = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        sizes = np.diff(self._choice.bounds)
        order = np.flatnonzero(sizes)  # row groups without any chosen row are not read
        draws = [self._seed, int(self._epoch)]
        if self._shuffle_rows:
            order = np.random.default_rng(draws).permutation(order)  # the same for all who share them
        generator = np.random.default_rng([*draws, rank, number])
        zoo = Zoo(self._choice.root)  # files are opened by the process that reads them
        if zoo.spec["spec_hash"] != self._choice.spec_hash:
            raise StoreError(f"{zoo.root}: was replaced by another run since it was opened; open it again")
        mine = order[rank * workers + number :: ranks * workers]
        for groups in _at_once(mine.tolist(), sizes[mine].tolist(), self._shuffle_rows):
            count = int(sizes[groups].sum())
            yield self._read(zoo, groups, generator.permutation(count) if self._shuffle_rows else np.arange(count))

    def _read(self, zoo: Zoo, groups: list[int], places: NDArray[np.int64]) -> _Block:
        """The chosen rows of some row groups, each written into its place."""
        bounds, starts = self._choice.bounds, self._choice.starts
        rows = np.empty(len(places), dtype=np.int64)
        weights = np.empty((len(places), self._choice.dimension), dtype=np.float32)
        first = 0
        read = zoo.shards.read_vectors(self._choice.groups[group] for group in groups)
        for group, vectors in zip(groups, read, strict=True):
            chosen = np.arange(bounds[group], bounds[group + 1])
            into = places[first : first + len(chosen)]
            rows[into] = chosen
            everything = len(chosen) == len(vectors)  # no need to copy them first
            weights[into] = vectors if everything else vectors[self._choice.rows[chosen] - starts[group]]
            first += len(chosen)
        return rows, weights


def _at_once(groups: list[int], sizes: list[int], least: int) -> Iterator[list[int]]:
    """Row groups that are read together: as many as have the rows that are asked for, one at least.

    >>> list(_at_once([7, 3, 5, 1], [4, 2, 6, 1], least=6))
    [[7, 3], [5], [1]]
    """
    together, count = list[int](), 0
    for group, size in zip(groups, sizes, strict=True):
        together.append(group)
        count += size
        if count >= least:
            yield together
            together, count = [], 0
    if together:
        yield together


def _in_batches(blocks: Iterator[_Block], size: int | None) -> Iterator[_Block]:
    """The same rows in batches of a size, the last one smaller; in the blocks as they are where there is none."""
    if size is None:
        yield from blocks
        return
    held: list[_Block] = []
    count = 0
    for rows, weights in blocks:
        while count + len(rows) >= size:
            cut = size - count
            yield _joined([*held, (rows[:cut], weights[:cut])])
            held, count, rows, weights = [], 0, rows[cut:], weights[cut:]
        if len(rows):
            held.append((rows, weights))
            count += len(rows)
    if held:
        yield _joined(held)


def _joined(parts: list[_Block]) -> _Block:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([weights for _, weights in parts])
