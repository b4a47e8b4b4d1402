"""Which checkpoints of a run are learned from, and what is known of them."""

import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.learning.fractions import split_models
from zoo_pipeline.learning.properties import Properties, Property, property_of, take
from zoo_pipeline.mistakes import nearest
from zoo_pipeline.store.bag import UNKNOWN
from zoo_pipeline.store.moments import last_of_models
from zoo_pipeline.store.reading import RowGroup
from zoo_pipeline.store.remedies import GO_ON
from zoo_pipeline.store.schema import METRIC_NAMES, SCALAR_NAMES
from zoo_pipeline.zoo import Zoo

Epochs = Sequence[int] | int | Literal["last"] | None
FINAL = "final_"  # before the name of a metric: the model's last


@dataclass(frozen=True)
class Wanted:
    """What a user asks for; see `ZooDataset`."""

    columns: Sequence[str] | str
    epochs: Epochs
    split: str | None
    split_by: Mapping[str, float] | None
    split_seed: int
    diverged: bool


@dataclass(frozen=True)
class Choice:
    """Some checkpoints of a run, in the order of `Zoo.checkpoints`.

    Attributes:
        root: of the run.
        spec_hash: of the run.
        rows: int64[n], their numbers among all rows of the run, ascending.
        properties: what is known of them, by column, n values each.
        groups: all row groups of the run.
        dimension: of the weights, d.
    """

    root: str
    spec_hash: str
    rows: NDArray[np.int64]
    properties: Properties
    groups: list[RowGroup]
    dimension: int

    @property
    def starts(self) -> NDArray[np.int64]:
        """int64[groups + 1], where each row group begins among all rows of the run; last, how many there are."""
        return np.cumsum([0, *(group.rows for group in self.groups)], dtype=np.int64)

    @property
    def bounds(self) -> NDArray[np.int64]:
        """int64[groups + 1], where each row group begins among the chosen rows."""
        return np.searchsorted(self.rows, self.starts)


def choose(zoo: Zoo, wanted: Wanted) -> Choice:
    """Find the rows and their properties; reads all columns but the weights.

    Raises:
        ConfigError: an unknown column, epoch or split; none is left; fractions that are none.
        StoreError: the run cannot be read, or is incomplete and what is asked for comes last.
    """
    names = [wanted.columns] if isinstance(wanted.columns, str) else wanted.columns
    more = [name for name in zoo.shards.scalars.names if name in names and name not in SCALAR_NAMES]
    checkpoints, groups = zoo.checkpoints(columns=[*SCALAR_NAMES, *more]), zoo.shards.row_groups()
    if sum(group.rows for group in groups) != len(checkpoints):
        raise StoreError(f"{zoo.root}: was written to while it was opened; open it again")
    model_id = checkpoints["model_id"].to_numpy()
    splits = _splits(zoo, wanted, model_id)
    epoch, step = (checkpoints[name].to_numpy() for name in ("epoch", "step"))
    keep = _of_epochs(zoo.root, wanted.epochs, model_id, epoch, step)
    if wanted.split is not None:
        keep &= np.isin(model_id, [each for each, name in splits.items() if name == wanted.split])
    if not wanted.diverged:
        keep &= ~np.isin(model_id, list(zoo.diverged))
    rows = np.flatnonzero(keep).astype(np.int64)
    if not len(rows):
        raise ConfigError(f"{zoo.root}: no checkpoint is left by these epochs and this split; ask for others")
    table = checkpoints.take(pa.array(rows))
    properties = {name: _property(zoo, name, table, splits) for name in names}
    return Choice(zoo.root, zoo.spec["spec_hash"], rows, properties, groups, zoo.layout.dimension)


def _splits(zoo: Zoo, wanted: Wanted, model_id: NDArray[np.int32]) -> dict[int, str]:
    """The split of every model, as far as it is asked for."""
    if wanted.split_by is not None:
        splits = split_models(np.unique(model_id).tolist(), wanted.split_by, wanted.split_seed)
        names = list(wanted.split_by)
    elif wanted.split is None:
        return {}
    elif not zoo.complete:
        raise StoreError(
            f"{zoo.root}: incomplete, so its models are in no split yet; {GO_ON}; or give "
            f"fractions of your own by split_by"
        )
    else:
        models = zoo.models
        column = models["split"] if "split" in models.column_names else pa.nulls(len(models), pa.string())
        splits = dict(zip(models["model_id"].to_pylist(), column.to_pylist(), strict=True))
        names = sorted({name for name in splits.values() if name})
    if wanted.split is not None and wanted.split not in names:
        raise ConfigError(
            f"{zoo.root}: has no split {wanted.split}{nearest(str(wanted.split), names)}; "
            f"expected {_listed(names) or 'none, as models.parquet has no column split; use split_by'}"
        )
    return splits


def _of_epochs(
    root: str,
    epochs: Epochs,
    model_id: NDArray[np.int32],
    epoch: NDArray[np.int32],
    step: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """bool[rows], which are of these epochs."""
    if epochs is None:
        return np.ones(len(epoch), dtype=bool)
    if isinstance(epochs, str):
        if epochs != "last":
            raise ConfigError(f'epochs: got {epochs!r}{nearest(epochs, ["last"])}; expected numbers, "last" or None')
        return last_of_models(model_id, epoch, step)
    known = np.unique(epoch)
    several = _numbers(epochs)
    for asked in several:
        if asked not in known:
            near = min(known.tolist(), key=lambda epoch: abs(epoch - asked))
            raise ConfigError(
                f"{root}: has no checkpoint after epoch {asked} (nearest: {near}); "
                f"expected epochs from {known[0]} to {known[-1]}"
            )
    return np.isin(epoch, np.array(several, dtype=np.int64))


def _numbers(epochs: Any) -> list[int]:
    """One whole number, or several in whatever holds them."""
    with suppress(TypeError):
        epochs = [operator.index(epochs)] if not isinstance(epochs, bool) else [epochs]
    try:
        several = list(epochs)
        if any(isinstance(each, bool) for each in several):
            raise TypeError
        return [operator.index(each) for each in several]
    except TypeError:
        raise ConfigError(f'epochs: got {epochs!r}; expected whole numbers, "last" or None') from None


def _property(zoo: Zoo, name: str, table: pa.Table, splits: dict[int, str]) -> Property:
    """One column of the chosen rows: of their own, or of their models."""
    if name in table.column_names:
        return property_of(table[name])
    model_id = table["model_id"]
    if name == "split" and splits:
        return [splits.get(each) for each in model_id.to_pylist()]
    models = zoo.models if zoo.complete else pa.table({})
    found = {f"{FINAL}{each}" if each in METRIC_NAMES else each: each for each in models.column_names}
    if name not in found:
        own = zoo.shards.scalars.names
        known = [*own, *(each for each in found if each not in own)]
        missing = "" if zoo.complete else "; the run is incomplete, and columns of models come last"
        raise ConfigError(
            f"{zoo.root}: has no column {name}{nearest(str(name), known)}{missing}; expected some of {_listed(known)}"
        )
    places = pc.index_in(model_id, value_set=models["model_id"].combine_chunks())
    if places.null_count:
        lost = pc.unique(model_id.filter(places.is_null())).to_pylist()
        if lost != [UNKNOWN]:
            (first, *_) = (each for each in lost if each != UNKNOWN)
            raise StoreError(f"{zoo.root}: models.parquet does not list model {first}; run zoo verify")
        return property_of(models[found[name]].take(places))
    return take(property_of(models[found[name]]), places.to_numpy().astype(np.int64))


def _listed(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names))
