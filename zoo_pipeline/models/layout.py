"""The layout: which slice of a flat weight vector is which tensor.

Works on NumPy arrays and torch tensors alike, one vector or many at once, and imports neither torch nor pyarrow.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Protocol, Self, TypeVar

from zoo_pipeline.errors import StoreError

VERSION = 1


class _Array(Protocol):
    """What NumPy arrays and torch tensors have in common, as far as it is used here."""

    @property
    def shape(self) -> Any: ...
    def reshape(self, *shape: Any) -> Any: ...
    def __getitem__(self, key: Any) -> Any: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...


A = TypeVar("A", bound=_Array)


@dataclass(frozen=True)
class TensorSlice:
    """One tensor's place in the flat vector: elements offset … offset + size, in C order."""

    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def slice(self) -> slice:
        """The elements of the flat vector."""
        return slice(self.offset, self.offset + self.size)


@dataclass(frozen=True)
class Layout:
    """All tensors of a network, one behind the other without gaps: trainable parameters only, never buffers."""

    tensors: tuple[TensorSlice, ...]

    @classmethod
    def of(cls, shapes: Mapping[str, tuple[int, ...]]) -> Self:
        """Lay tensors out in the order given.

        >>> Layout.of({"fc1.weight": (5, 16), "fc1.bias": (5,)}).dimension
        85
        """
        offset = 0
        tensors = []
        for name, shape in shapes.items():
            tensors.append(TensorSlice(name, tuple(shape), offset))
            offset += prod(shape)
        return cls(tuple(tensors))

    @property
    def dimension(self) -> int:
        """Length of the flat vector, d."""
        return sum(tensor.size for tensor in self.tensors)

    def flatten(self, state: Mapping[str, A], out: A) -> A:
        """Write tensors [..., *shape] into flat vectors `out` [..., d], and return `out`.

        Raises:
            KeyError: a tensor of the layout is missing.
            ValueError: a tensor has another shape than the layout says.
        """
        lead = tuple(out.shape[:-1])
        for tensor in self.tensors:
            values = state[tensor.name]
            if tuple(values.shape) != (*lead, *tensor.shape):
                raise ValueError(f"{tensor.name}: has shape {tuple(values.shape)}, expected {(*lead, *tensor.shape)}")
            out[..., tensor.slice] = values.reshape((*lead, tensor.size))
        return out

    def unflatten(self, weights: A) -> dict[str, A]:
        """Cut flat vectors [..., d] into tensors [..., *shape]; views where possible.

        Raises:
            ValueError: the vectors have another length than the layout says.
        """
        *lead, dimension = weights.shape
        if dimension != self.dimension:
            raise ValueError(f"weights: have length {dimension}, the layout describes {self.dimension}")
        return {tensor.name: weights[..., tensor.slice].reshape((*lead, *tensor.shape)) for tensor in self.tensors}

    def to_json(self) -> str:
        """The layout as it stands in a shard's footer."""
        return json.dumps(
            {"version": VERSION, "order": "C", "dtype": "float32", "tensors": [asdict(t) for t in self.tensors]}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a layout back.

        Raises:
            StoreError: not a layout of this version, or its tensors are empty, have gaps or overlap.
        """
        try:
            content = json.loads(text)
            if not isinstance(content, dict):
                raise StoreError(f"layout: expected an object with version, order and tensors, got {content!r:.200}")
            kind = (content["version"], content["order"])
            if kind != (VERSION, "C"):
                raise StoreError(
                    f"layout: expected version {VERSION} in order C, got version {kind[0]!r}, order {kind[1]!r}"
                )
            layout = cls.of({tensor["name"]: tuple(map(int, tensor["shape"])) for tensor in content["tensors"]})
            offsets = [tensor["offset"] for tensor in content["tensors"]]
        except KeyError as error:
            raise StoreError(f"layout: has no {error}; expected the JSON of docs/format.md") from None
        except (OverflowError, RecursionError, TypeError, ValueError) as error:
            raise StoreError(f"layout: not readable ({error}); expected the JSON of docs/format.md") from None
        if not layout.tensors:
            raise StoreError("layout: expected at least one tensor, got none")
        for tensor in layout.tensors:
            if min(tensor.shape, default=1) < 1:
                shown = list(tensor.shape)
                raise StoreError(f"layout: tensor {tensor.name}: expected a shape of positive sizes, got {shown}")
        if offsets != [tensor.offset for tensor in layout.tensors]:
            got = json.dumps(content["tensors"])
            raise StoreError(f"layout: expected tensors of different names without gaps, got {got:.200}")
        return layout
