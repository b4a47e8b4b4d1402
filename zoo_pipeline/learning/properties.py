"""Properties of checkpoints: columns of Parquet as tensors, or as lists where they are no numbers."""

from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

Property = torch.Tensor | list[Any]  # one value for each row
Properties = dict[str, Property]
Sample = tuple[torch.Tensor, dict[str, Any]]  # weights and properties, of one row or of many


def property_of(column: pa.ChunkedArray) -> Property:
    """A column as a tensor of its own type; texts, lists and the like as Python's values.

    A number that is missing is NaN; whole numbers of which some are missing become float64.

    >>> property_of(pa.chunked_array([[1, None, 3]]))
    tensor([1., nan, 3.], dtype=torch.float64)
    """
    kind = column.type
    whole = pa.types.is_integer(kind) and not pa.types.is_unsigned_integer(kind)
    if column.null_count and whole:
        column, kind = column.cast(pa.float64(), safe=False), pa.float64()  # the nearest, as of 2**62 + 1
    if pa.types.is_floating(kind):
        return torch.from_numpy(column.fill_null(float("nan")).to_numpy().copy())
    if (whole or pa.types.is_boolean(kind)) and not column.null_count:
        return torch.from_numpy(column.to_numpy().copy())
    return list(column.to_pylist())


def take(values: Property, rows: NDArray[np.int64]) -> Property:
    """The values of some rows."""
    if isinstance(values, torch.Tensor):
        return values[torch.from_numpy(rows)]
    return [values[row] for row in rows.tolist()]


def batch_of(weights: torch.Tensor, properties: Properties, rows: NDArray[np.int64]) -> Sample:
    """The weights float32[m, d] with the properties of the same rows."""
    return weights, {name: take(values, rows) for name, values in properties.items()}


def samples_of(batch: Sample) -> list[Sample]:
    """The rows of a batch one by one, as views."""
    weights, properties = batch
    names, columns = list(properties), list(properties.values())
    each = zip(*columns, strict=True) if columns else (() for _ in weights)
    return [(row, dict(zip(names, values, strict=True))) for row, values in zip(weights, each, strict=True)]
