"""Rows of one model and moment: copies, of which one is exported, or checkpoints that no name tells apart."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from zoo_pipeline.errors import StoreError
from zoo_pipeline.exporting.rows import row_groups
from zoo_pipeline.exporting.selection import ChosenRows
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.shards import vector_rows

_Moment = tuple[int, int, int | None]  # model, epoch, and step where it counts
_DIGEST_BYTES = 16


def told_apart(
    parts: Sequence[ChosenRows], digests: Callable[[ChosenRows], Iterable[bytes]], *, by_epoch: bool
) -> list[ChosenRows]:
    """The rows without copies, and which of them need their step to be told from others.

    Args:
        parts: what is to be exported.
        digests: of the weights of some rows, in their order; asked for once, of rows that are not alone.
        by_epoch: whether a model's checkpoints must differ in their epochs, where these are known; else a step does.

    Raises:
        StoreError: several have different weights, and would have one name.
    """
    moments = [_moments(part, by_epoch=by_epoch) for part in parts]
    counts = Counter(moment for of_part in moments for moment in of_part)
    first: dict[_Moment, bytes] = {}
    kept = []
    for part, of_part in zip(parts, moments, strict=True):
        crowded = np.array([counts[moment] > 1 for moment in of_part])
        keep = ~crowded
        said = digests(part.where(crowded)) if crowded.any() else ()
        for at, digest in zip(np.flatnonzero(crowded).tolist(), said, strict=True):
            keep[at] = of_part[at] not in first
            if first.setdefault(of_part[at], digest) != digest:
                raise StoreError(_alike_but_different(of_part[at], counts[of_part[at]]))
        if keep.any():
            kept.append(part.where(keep))
    epochs = Counter(pair for part in kept for pair in _pairs(part))
    return [
        replace(part, by_step=np.array([pair[1] < 0 or epochs[pair] > 1 for pair in _pairs(part)])) for part in kept
    ]


def row_digests(files: Files, part: ChosenRows) -> Iterator[bytes]:
    """Digests of the weights of some rows, a row group in memory at a time."""
    for table in row_groups(files, part):
        for row in vector_rows(table, "weights"):
            yield hashlib.blake2b(row.data, digest_size=_DIGEST_BYTES).digest()


def _moments(part: ChosenRows, *, by_epoch: bool) -> list[_Moment]:
    steps = part.contents.step[part.rows].tolist()
    return [
        (model_id, epoch, None if by_epoch and epoch >= 0 else step)
        for (model_id, epoch), step in zip(_pairs(part), steps, strict=True)
    ]


def _pairs(part: ChosenRows) -> list[tuple[int, int]]:
    """Model and epoch of each row."""
    columns = (part.contents.model_id[part.rows].tolist(), part.contents.epoch[part.rows].tolist())
    return list(zip(*columns, strict=True))


def _alike_but_different(moment: _Moment, count: int) -> str:
    model_id, epoch, step = moment
    after = f"epoch {epoch}" if step is None else f"epoch {epoch} and step {step}"
    return (
        f"the run has {count} checkpoints of model {model_id} after {after}, with different weights, which this format "
        f"would give one name; leave them out by --models and --epochs, or use another --format"
    )
