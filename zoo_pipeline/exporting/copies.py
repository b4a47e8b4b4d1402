"""Rows of one model and moment: copies, of which one is exported, or checkpoints that no name tells apart."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.exporting.selection import ChosenRows
from zoo_pipeline.store.moments import alike

Vectors = Callable[[dict[str, list[int]]], NDArray[np.float32]]
_Place = tuple[int, int]  # number of the part, and of the row in it


def told_apart(parts: Sequence[ChosenRows], vectors: Vectors, *, by_epoch: bool) -> list[ChosenRows]:
    """The rows without copies, and which of them need their step to be told from others.

    Args:
        parts: what is to be exported.
        vectors: reads the weights float32[n, d] of the rows that have some values in some columns.
        by_epoch: whether a model's checkpoints must differ in their epochs, where these are known; else a step does.

    Raises:
        StoreError: several have different weights, and would have one name.
    """
    places: dict[tuple[int, int, int], list[tuple[_Place, int]]] = defaultdict(list)
    for number, part in enumerate(parts):
        columns = (part.contents.model_id, part.contents.epoch, part.contents.step)
        for at, (model_id, epoch, step) in enumerate(zip(*(each[part.rows].tolist() for each in columns), strict=True)):
            places[model_id, epoch, 0 if by_epoch and epoch >= 0 else step].append(((number, at), step))
    keep = [np.ones(len(part.rows), dtype=bool) for part in parts]
    for (model_id, epoch, _), rows in places.items():
        if len(rows) == 1:
            continue
        steps = sorted({step for _, step in rows})
        if not alike(vectors({"model_id": [model_id], "epoch": [epoch], "step": steps})):
            raise StoreError(
                f"the run has {len(rows)} checkpoints of model {model_id} after epoch {epoch} and step "
                f"{' or '.join(map(str, steps[:3]))}, with different weights, which this format would give one name; "
                f"leave them out by --models and --epochs, or use another --format"
            )
        for (number, at), _ in rows[1:]:
            keep[number][at] = False
    kept = [part.where(mask) for part, mask in zip(parts, keep, strict=True) if mask.any()]
    epochs: dict[tuple[int, int], int] = defaultdict(int)
    for pair in (pair for part in kept for pair in _pairs(part)):
        epochs[pair] += 1
    return [
        replace(part, by_step=np.array([pair[1] < 0 or epochs[pair] > 1 for pair in _pairs(part)])) for part in kept
    ]


def _pairs(part: ChosenRows) -> list[tuple[int, int]]:
    """Model and epoch of each row."""
    columns = (part.contents.model_id[part.rows].tolist(), part.contents.epoch[part.rows].tolist())
    return list(zip(*columns, strict=True))
