"""What a checkpoint file holds: as the file describes it, and as it is read."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError

Shapes = tuple[tuple[str, tuple[int, ...]], ...]


class FileRefused(StoreError):  # noqa: N818  (it says what was done with the file)
    """A file that is no checkpoint, is damaged or is not to be trusted; the line begins with the reason."""


@dataclass(frozen=True, slots=True)
class State:
    """The trainable parameters of one checkpoint file, and what of the file is none of them.

    Attributes:
        tensors: by name, float32 in C order, in the order of the file; where the file has them so, read-only views of
            its bytes.
        left_out: by name, why: "buffer", "optimiser state", "int64, no floating point", …
        step: the number of steps that the file says it was trained for; None where it says none.
        epoch: the same of epochs.
    """

    tensors: dict[str, NDArray[np.float32]]
    left_out: dict[str, str]
    step: int | None = None
    epoch: int | None = None


class TensorEntry(NamedTuple):
    """A tensor as a file describes it; its values are not read.

    Attributes:
        name: within the state_dict.
        shape: its sizes.
        kind: of its elements, "float32" say, or what it is instead: "sparse", "quantised".
        record: which part of the file its values are in.
        offset: where in the record they begin, in elements.
        strides: elements from one to the next along each axis; None in C order.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    record: Hashable = None
    offset: int = 0
    strides: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """All tensors that may be parameters, and what is beside them.

    Attributes:
        entries: the tensors, in the order of the file.
        left_out: as of `State`.
        step: as of `State`.
        epoch: as of `State`.
    """

    entries: tuple[TensorEntry, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    step: int | None = None
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that has been looked at.

    Attributes:
        described: what it holds.
        values: reads one of its tensors, float32 in C order.
    """

    described: Described
    values: Callable[[TensorEntry], NDArray[Any]]
