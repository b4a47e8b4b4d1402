"""Which checkpoint of a model is meant, where epochs or only steps are known."""

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from zoo_pipeline.counts import plural
from zoo_pipeline.errors import ConfigError, StoreError

Last = Literal["last"]
_KEYS = ("model_id", "epoch", "step")
_MOST_SHOWN = 5


def last_of_models(model_id: NDArray[np.int32], epoch: NDArray[np.int32], step: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool[n], the last row of every model: of its greatest epoch, and at that of its greatest step.

    Args:
        model_id: int32[n].
        epoch: int32[n]; −1: unknown.
        step: int64[n]; −1: unknown.
    """
    order = np.lexsort((step, epoch, model_id))  # of several of one moment, the last
    last = np.zeros(len(order), dtype=bool)
    if len(order):
        last[order[np.append(np.diff(model_id[order]) != 0, True)]] = True
    return last


def alike(vectors: NDArray[np.float32]) -> bool:
    """Whether all rows of float32[n, d] are the same to the bit, whatever is not a number among them."""
    bits = vectors.view(np.uint32)
    return bool((bits == bits[:1]).all())


def rows_meant(root: str, rows: pa.Table, model_id: int, epoch: int | Last | None, step: int | None) -> dict[str, int]:
    """Model, epoch and step of the checkpoint that is meant; several rows may have them.

    Args:
        root: of the run, for messages.
        rows: those of the model, and if it is a number, of the epoch.
        model_id: of the model.
        epoch: after which, or "last"; None: any.
        step: after how many optimiser steps; None: any.

    Raises:
        ConfigError: neither epoch nor step is named.
        StoreError: there is none, or there are several of different steps.
    """
    asked = [f"{what} {value}" for what, value in (("epoch", epoch), ("step", step)) if value is not None]
    if not asked:
        raise ConfigError(f"{root}: which checkpoint of model {model_id}? name an epoch or a step")
    if step is not None:
        rows = rows.filter(pc.equal(rows["step"], step))
    if epoch == "last":
        rows = rows.filter(pa.array(last_of_models(*(rows[name].to_numpy() for name in _KEYS))))
    if not len(rows):
        raise StoreError(f"{root}: has no checkpoint of model {model_id} after {' and '.join(asked)}")
    found = {name: pc.unique(rows[name]).to_pylist() for name in _KEYS}
    for name, others in (("step", found["step"]), ("epoch", found["epoch"])):
        if len(others) > 1:
            shown = ", ".join(map(str, others[:_MOST_SHOWN])) + (", …" if len(others) > _MOST_SHOWN else "")
            raise StoreError(
                f"{root}: has {plural(len(rows), 'checkpoint')} of model {model_id} after {' and '.join(asked)}, of "
                f"the {name}s {shown}; name one by its {name}"
            )
    return {name: int(values[0]) for name, values in found.items()}
