"""`ZooDataset`: checkpoints of a run for PyTorch, any of them at any time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from zoo_pipeline.counts import binary
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.learning.choice import Choice, Epochs, Wanted, choose
from zoo_pipeline.learning.properties import Properties, Sample, batch_of, samples_of
from zoo_pipeline.store.weights_cache import WeightsCache, open_cache
from zoo_pipeline.zoo import Zoo

COLUMNS = ("epoch", "test_accuracy")


class ZooDataset(Dataset[Sample]):
    """Weights and properties of a run's checkpoints, to be read in any order.

    `dataset[i]` is the pair of the weights float32[d] and of a dictionary of the properties of row i; `dataset[rows]`,
    for a slice, list, array or tensor of numbers, of float32[m, d] and as many values of each. A DataLoader fetches
    each batch by one gather; fastest, and without collating, where a batch sampler is its `sampler` and `batch_size`
    None. The weights are held in memory, or read from a file of float32 rows on a local disk (`cache`), which workers
    share. Rows come in the order of `Zoo.checkpoints`.

    Attributes:
        weights: float32[n, d], all rows; None where they are read from a file.
        properties: n values of each column: a tensor, or a list where they are no numbers.
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
        cache: str | Path | None = None,
    ) -> None:
        """Choose rows, and read their weights or see that the cache has them.

        Args:
            run: a run, or its path or URI.
            columns: of the checkpoints or of models.parquet; a metric is the checkpoint's, its model's last one is
                `final_` and the metric.
            epochs: one or several numbers, "last" (of each model), or None for all.
            split: the models of this split alone: `train`, `validation` or `test`, or one of `split_by`.
            split_by: fractions of the models by name, in place of the run's own splits.
            split_seed: decides which models those are.
            diverged: whether models whose training diverged are there, too.
            cache: a local file that has the weights of the whole run as they are in memory, 4 × d bytes a row. It is
                written where it is missing: whole or not at all, so before processes share it, let one make it.

        Raises:
            ConfigError: an unknown column, epoch or split, or more weights than there is memory for.
            StoreError: the run cannot be read or the cache not written; the cache is damaged or not this run's.
        """
        zoo = Zoo(run) if isinstance(run, str) else run
        wanted = Wanted(columns, epochs, split, split_by, split_seed, diverged)
        self._choice = choose(zoo, wanted)
        self._cache: WeightsCache | None = None
        self.weights: torch.Tensor | None = None
        if cache is not None:
            self._cache = open_cache(Path(cache), zoo.root, zoo.shards, self._choice.groups)
        else:
            _check_memory(self._choice)
            self.weights = _read(zoo, self._choice)

    @property
    def properties(self) -> Properties:
        """N values of each column."""
        return self._choice.properties

    def __len__(self) -> int:
        return len(self._choice.rows)

    def __getitem__(self, index: int | slice | Sequence[int] | NDArray[np.integer] | torch.Tensor) -> Sample:
        if isinstance(index, slice):
            return self._batch(np.arange(len(self), dtype=np.int64)[index])
        numbers = np.asarray(index, dtype=np.int64)
        if numbers.ndim:
            return self._batch(numbers)
        return samples_of(self._batch(numbers[None]))[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Sample]:
        """Some rows, one by one, by one gather; what a DataLoader with a `batch_size` asks for."""
        return samples_of(self._batch(np.asarray(indices, dtype=np.int64)))

    def _batch(self, index: NDArray[np.int64]) -> Sample:
        if len(index) and not -len(self) <= index.min() <= index.max() < len(self):
            raise IndexError(f"row {index.min() if index.min() < -len(self) else index.max()} of {len(self)} rows")
        index = np.where(index < 0, index + len(self), index)
        if self._cache is not None:
            weights = torch.from_numpy(self._cache.take(self._choice.rows[index]))
        else:
            assert self.weights is not None
            weights = self.weights.index_select(0, torch.from_numpy(index))
        return batch_of(weights, self.properties, index)


def _read(zoo: Zoo, choice: Choice) -> torch.Tensor:
    """The weights of all chosen rows, float32[n, d]."""
    weights = torch.empty((len(choice.rows), choice.dimension))
    starts, bounds = choice.starts, choice.bounds
    filled = [number for number in range(len(choice.groups)) if bounds[number] < bounds[number + 1]]
    vectors = zoo.shards.read_vectors(choice.groups[number] for number in filled)
    for number, of_group in zip(filled, vectors, strict=True):
        first, end = bounds[number : number + 2]
        np.take(of_group, choice.rows[first:end] - starts[number], axis=0, out=weights.numpy()[first:end], mode="clip")
    return weights


def _check_memory(choice: Choice) -> None:
    """Refuse what does not fit, before the machine is brought down by it."""
    needed, free = 4 * len(choice.rows) * choice.dimension, _free_bytes()
    if free is not None and needed > free:
        raise ConfigError(
            f"{choice.root}: the weights of {len(choice.rows):,} checkpoints take {binary(needed)}, but "
            f"{binary(free)} of memory are free; name a file on a local disk by cache, or use ZooStream"
        )


def _free_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not tell."""
    told = Path("/proc/meminfo")
    lines = told.read_text().splitlines() if told.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)
