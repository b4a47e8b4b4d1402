"""A bag: checkpoints of one layout, whatever they came from, apart from what is known of their history."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.shares import HeldShare, Share

Integers = NDArray[np.int64]
UNKNOWN = -1
NAMES = pa.dictionary(pa.int32(), pa.string())
# What rows are called where runs and files are analysed together; `file` and `row` are null for the rows of a run.
KEYS = pa.schema(
    [("run", NAMES), ("model_id", pa.int64()), ("epoch", pa.int64()), ("file", NAMES), ("row", pa.int64())]
)
MOST_PARTS = 64  # each has a page of its own


@dataclass(frozen=True)
class Bag:
    """n checkpoints to be analysed together. The recovery gets weights and `layout`; the rest names and scores rows.

    Attributes:
        shares: the weights, in parts whose rows follow each other; rows that are not finite are left out of the
            analysis.
        dimension: weights of each row, d.
        layout: which slice of the weights is which tensor; None where that is unknown.
        keys: n rows, what the rows are called in the tables of an analysis: `run` and whatever else tells them apart.
            `model_id` and `epoch` are the truth, null or negative where it is unknown. Models are told apart by
            (`run`, `model_id`).
        step: int64[n], optimiser steps so far; negative where unknown.
        metrics: n rows with the losses and accuracies; null where they are unknown.
        name: what the whole is called, for people.
        run: the key of the run that all rows come from; None where there is not one such run.
        complete: whether the runs that the rows come from were complete.
        names: of runs whose models are no more than claimed, by the run's key: what names call their models.
    """

    shares: tuple[Share, ...]
    dimension: int
    layout: Layout | None
    keys: pa.Table
    step: Integers
    metrics: pa.Table
    name: str
    run: str | None = None
    complete: bool = True
    names: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many checkpoints there are."""
        return len(self.keys)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """All weights, float32[n, d]; where the bag does not hold them they are read now, and kept.

        Raises:
            StoreError: they cannot be read.
        """
        if len(self.shares) == 1 and isinstance(self.shares[0], HeldShare):
            return self.shares[0].weights
        weights = np.empty((len(self), self.dimension), np.float32)
        start = 0
        for share in self.shares:
            for rows in share.read():
                weights[start : start + len(rows)] = rows
                start += len(rows)
        return weights

    def some_weights(self, rows: Integers) -> NDArray[np.float32]:
        """The weights of some rows, float32[m, d], without keeping any others.

        Args:
            rows: int64[m], ascending.

        Raises:
            StoreError: they cannot be read.
        """
        found = [np.empty((0, self.dimension), np.float32)]
        start = 0
        for share in self.shares:
            for weights in share.read():
                first, last = np.searchsorted(rows, [start, start + len(weights)])
                found.append(weights[rows[first:last] - start])
                start += len(weights)
        return np.concatenate(found)

    @cached_property
    def model(self) -> Integers:
        """int64[n]: the true model of every row, numbered from 0 over all runs; −1 where it is unknown."""
        return self._numbered[0]

    @property
    def claimed(self) -> Integers:
        """int64[n]: the same of the rows whose model is no more than claimed; −1 for all others."""
        no_more = [*(run in self.names for run, _ in self.models), False]  # the last is of rows without a model, −1
        return np.where(np.array(no_more)[self.model], self.model, UNKNOWN)

    @property
    def models(self) -> list[tuple[str, int]]:
        """The run's key and the model_id of every model, by the numbers that `model` has."""
        return self._numbered[1]

    @cached_property
    def _numbered(self) -> tuple[Integers, list[tuple[str, int]]]:
        runs, model_id = self.keys["run"].combine_chunks(), known(self.keys, "model_id")
        number = np.full(len(model_id), UNKNOWN)
        true = model_id >= 0
        pairs = np.stack([runs.indices.to_numpy(), model_id], axis=1)[true]
        found, inverse = np.unique(pairs, axis=0, return_inverse=True)
        number[true] = inverse.reshape(-1)
        keys = runs.dictionary.to_pylist()
        return number, [(keys[run], each) for run, each in found.tolist()]

    @cached_property
    def time(self) -> Integers:
        """int64[n]: what orders the rows of a model; −1 where it is unknown.

        Of every model it is the epoch or the step, whichever is known for more of its rows, and of equals the epoch.
        """
        epoch, model = known(self.keys, "epoch"), self.model
        counted = [np.bincount(model + 1, weights=times >= 0) for times in (epoch, self.step)]
        return np.where((counted[1] > counted[0])[model + 1], self.step, epoch)


def gather(bags: Sequence[Bag]) -> dict[str, Bag]:
    """Put rows of one layout together, by a name for each: d-1210, or d-1210-… where several layouts have this length.

    Rows of equal length are apart, too, where their layouts differ, or where it is known of some of them only.

    Raises:
        StoreError: there is not a single row, or rows of very many lengths.
    """
    alike: dict[tuple[int, Layout | None], list[Bag]] = {}
    for bag in bags:
        if len(bag):
            alike.setdefault((bag.dimension, bag.layout), []).append(bag)
    if not alike:
        raise StoreError("nothing to analyse: not one row in all that is named")
    if len(alike) > MOST_PARTS:
        raise StoreError(
            f"rows of {len(alike):,} lengths or layouts, which are analysed apart; expected at most {MOST_PARTS}: "
            f"name fewer files"
        )
    lengths = [dimension for dimension, _ in alike]
    parts = {
        part_name(*kind, alone=lengths.count(kind[0]) == 1): _joined(same, part_name(*kind, alone=True))
        for kind, same in alike.items()
    }
    return dict(sorted(parts.items(), key=lambda part: (part[1].dimension, part[0])))


def part_name(dimension: int, layout: Layout | None, *, alone: bool) -> str:
    """The name of the rows of one length and layout.

    >>> part_name(85, None, alone=True), part_name(85, None, alone=False)
    ('d-85', 'd-85-unknown')
    >>> part_name(85, Layout.of({"w": (5, 17)}), alone=False)
    'd-85-a5879b81'
    """
    if alone:
        return f"d-{dimension}"
    return f"d-{dimension}-{hashlib.sha256(layout.to_json().encode()).hexdigest()[:8] if layout else 'unknown'}"


def known(table: pa.Table, name: str) -> Integers:
    """A column of whole numbers as int64[n], with −1 for nulls and whatever is negative."""
    values: Integers = pc.fill_null(table[name].cast(pa.int64()), UNKNOWN).to_numpy()
    return np.maximum(values, UNKNOWN)


def read_share(shares: Sequence[Share], number: int) -> Iterator[NDArray[np.float32]]:
    """The weights of one of several shares, float32[m, d] at a time."""
    return shares[number].read()


def named(text: str, rows: int) -> pa.DictionaryArray:
    """A column that says the same in every row."""
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([text], pa.string()))


def _joined(bags: Sequence[Bag], name: str) -> Bag:
    runs = {(bag.run, bag.name) for bag in bags}
    run, only = runs.pop() if len(runs) == 1 else (None, name)
    return Bag(
        shares=tuple(share for bag in bags for share in bag.shares),
        dimension=bags[0].dimension,
        layout=bags[0].layout,
        keys=pa.concat_tables([_keys(bag) for bag in bags]).unify_dictionaries().combine_chunks(),
        step=np.concatenate([bag.step for bag in bags]),
        metrics=pa.concat_tables([bag.metrics for bag in bags]).combine_chunks(),
        name=only if run is not None else name,
        run=run,
        complete=all(bag.complete for bag in bags),
        names={run: names for bag in bags for run, names in bag.names.items()},
    )


def _keys(bag: Bag) -> pa.Table:
    """The keys with all columns of `KEYS`."""
    rows = len(bag)
    columns = [
        bag.keys[field.name].cast(field.type) if field.name in bag.keys.column_names else pa.nulls(rows, field.type)
        for field in KEYS
    ]
    return pa.table(columns, schema=KEYS)
