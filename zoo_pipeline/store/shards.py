"""One group's checkpoints as a Parquet shard, and the proof in its footer that it is whole and the right one."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.schema import LAYOUT_KEY, SHARD_KEY, checkpoint_schema


def shard_table(
    model_ids: NDArray[np.int32],
    steps: NDArray[np.int64],
    metrics: dict[str, NDArray[np.float32]],
    weights: NDArray[np.float32],
    layout: Layout,
    footer: dict[str, Any],
) -> pa.Table:
    """A group's rows in the order (model_id, epoch).

    Args:
        model_ids: int32[models], ascending.
        steps: int64[epochs + 1], optimiser steps before each checkpoint.
        metrics: float32[models, epochs + 1] by column name.
        weights: float32[models, epochs + 1, d]; not copied.
        layout: what the weights are.
        footer: what the shard is: group, spec_hash, rows, diverged model ids.
    """
    models, epochs = weights.shape[:2]
    schema = checkpoint_schema(layout)
    values = pa.FixedSizeListArray.from_arrays(pa.array(weights.reshape(-1)), type=schema.field("weights").type)
    columns = {
        "model_id": np.repeat(model_ids.astype(np.int32), epochs),
        "epoch": np.tile(np.arange(epochs, dtype=np.int32), models),
        "step": np.tile(steps.astype(np.int64), models),
        **{name: value.reshape(-1) for name, value in metrics.items()},
    }
    arrays = [*(pa.array(columns[field.name], field.type) for field in schema if field.name != "weights"), values]
    table = pa.Table.from_arrays(arrays, schema=schema)
    return table.replace_schema_metadata({**schema.metadata, SHARD_KEY: json.dumps(footer, sort_keys=True).encode()})


@contextmanager
def open_shard(files: Files, name: str) -> Iterator[pq.ParquetFile]:
    """Open a shard for reading; every page that is read is held against its checksum.

    Read it with `use_threads=False`: a thread of Arrow's that still lets go of bytes read through a Python file when
    the interpreter ends aborts the process (seen with pyarrow 26, once in some twenty short commands).

    Raises:
        StoreError: absent, truncated, not Parquet, or damaged where it is read.
    """
    try:
        with files.filesystem.open(files.at(name), "rb") as file:
            yield pq.ParquetFile(file, page_checksum_verification=True)
    except FileNotFoundError:
        raise StoreError(f"{files.at(name)}: missing; run zoo train again with --resume") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"{files.at(name)}: damaged or not Parquet ({' '.join(str(error).split())}); "
            f"remove it and run zoo train again with --resume"
        ) from None


def read_footer(files: Files, name: str) -> dict[str, Any]:
    """What a shard says of itself: group, spec_hash, rows, diverged; and `file_rows`, what it really holds.

    Raises:
        StoreError: as `open_shard`, or the footer is not one.
    """
    with open_shard(files, name) as shard:
        text = (shard.schema_arrow.metadata or {}).get(SHARD_KEY, b"{}")
        rows = shard.metadata.num_rows
    try:
        footer = json.loads(text)
        diverged = [int(model_id) for model_id in footer.get("diverged", [])]
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{files.at(name)}: its footer is not as docs/format.md says ({error})") from None
    return {**footer, "diverged": diverged, "file_rows": rows}


def read_layout(shard: pq.ParquetFile) -> Layout:
    """The layout in a shard's footer, held against the columns.

    Raises:
        StoreError: there is none, it does not fit the weights column, or a column is missing.
    """
    schema = shard.schema_arrow
    layout = Layout.from_json((schema.metadata or {}).get(LAYOUT_KEY, b"null"))
    for field in checkpoint_schema(layout):
        found = schema.field(field.name).type if field.name in schema.names else None
        fits = _is_weights(found, layout.dimension) if field.name == "weights" else found == field.type
        if not fits:
            raise StoreError(
                f"column {field.name}: is {found or 'missing'}, the format and the layout say {field.type}"
            )
    return layout


def weight_rows(weights: pa.ChunkedArray) -> NDArray[np.float32]:
    """The values of a weights column, float32[n, d], without a copy where it is one chunk.

    Raises:
        StoreError: it holds nulls.
    """
    dimension = weights.type.list_size
    chunks = [chunk.flatten() for chunk in weights.chunks if len(chunk)]
    if weights.null_count or any(chunk.null_count for chunk in chunks):
        raise StoreError("column weights: holds nulls, which no network has; write NaN for what is not a number")
    values = [chunk.to_numpy(zero_copy_only=True).reshape(-1, dimension) for chunk in chunks]
    if len(values) == 1:
        return np.asarray(values[0])
    return np.concatenate([np.empty((0, dimension), dtype=np.float32), *values])


def contents_sha256(table: pa.Table) -> str:
    """Hash (hex) of a table's names, types and values, whatever its chunks, encoding and metadata."""
    sha = hashlib.sha256()
    for field, column in zip(table.schema, table.columns, strict=True):
        sha.update(f"{field.name} {field.type} {len(column)}".encode())
        if pa.types.is_fixed_size_list(field.type):
            for chunk in column.chunks:
                sha.update(chunk.flatten().to_numpy(zero_copy_only=True).data)
        else:
            sha.update(json.dumps(column.to_pylist()).encode())
    return sha.hexdigest()


def _is_weights(found: pa.DataType | None, dimension: int) -> bool:
    """Whether a type is a fixed-size list of float32, whatever it says about nulls."""
    return (
        found is not None
        and pa.types.is_fixed_size_list(found)
        and found.value_type == pa.float32()
        and found.list_size == dimension
    )
