"""An epoch range of one group as a Parquet shard, and the proof in its footer that it is whole and the right one."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError, UnreachableError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.faults import is_unseen, reason
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.names import check_no_way_out, lies_in
from zoo_pipeline.store.remedies import OF_A_RUN, Remedies
from zoo_pipeline.store.rows import RangeRows
from zoo_pipeline.store.rundir import BUFFERS
from zoo_pipeline.store.schema import LAYOUT_KEY, SHARD_KEY, buffers_schema, checkpoint_schema


def shard_table(model_ids: NDArray[np.int32], rows: RangeRows, layout: Layout, footer: dict[str, Any]) -> pa.Table:
    """The rows of a shard in the order (model_id, epoch); the weights are not copied.

    Args:
        model_ids: int32[models], ascending.
        rows: the checkpoints, all of them filled in.
        layout: what the weights are.
        footer: what the shard is.
    """
    columns: dict[str, NDArray[Any]] = {name: values.reshape(-1) for name, values in rows.metrics.items()}
    columns["step"] = np.tile(rows.steps, len(rows.weights))
    return _table(checkpoint_schema(layout), model_ids, rows.first, rows.weights, columns, footer)


def buffers_table(model_ids: NDArray[np.int32], rows: RangeRows, layout: Layout, footer: dict[str, Any]) -> pa.Table:
    """The buffers of the same rows, in the same order; arguments as of `shard_table`."""
    return _table(buffers_schema(layout), model_ids, rows.first, rows.buffers, {}, footer)


@contextmanager
def open_shard(
    files: Files, name: str, remedies: Remedies = OF_A_RUN, size: int | None = None
) -> Iterator[pq.ParquetFile]:
    """Open a shard for reading; every page that is read is held against its checksum.

    Read it with `use_threads=False`, and it is opened without `pre_buffer`: a thread of Arrow's that still lets go of
    bytes read through a Python file when the interpreter ends aborts the process (seen with pyarrow 26, of short
    commands once in some twenty with the former, once in a thousand with the latter).

    Args:
        files: where it lies.
        name: its path there.
        remedies: what a user can do about it.
        size: bytes that the file must have; None for any. Bytes that are missing or too many could shift a page
            so that its header, which has no checksum, is read wrongly.

    Raises:
        StoreError: absent, a folder, of another size, truncated, not Parquet, damaged where it is read, of a
            kind that pyarrow cannot read, a link out of the run, or two columns have one name.
    """
    if remedies is OF_A_RUN:
        check_no_way_out(files, name)
    try:
        with files.open(name) as file:
            if size is not None and (found := file.seek(0, os.SEEK_END)) != size:
                raise StoreError(f"{files.at(name)}: has {found:,} bytes, expected {size:,}; {remedies.damaged}")
            shard = pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)
            twice = [column for column, times in Counter(shard.schema_arrow.names).items() if times > 1]
            if twice:
                raise StoreError(f"{files.at(name)}: has several columns {twice[0]}; expected one, rename the others")
            yield shard
    except FileNotFoundError:
        raise StoreError(f"{files.at(name)}: missing; {remedies.missing}") from None
    except IsADirectoryError:
        raise StoreError(f"{files.at(name)}: is a folder, expected a Parquet file; {remedies.folder}") from None
    except pa.ArrowNotImplementedError as error:
        raise StoreError(f"{files.at(name)}: cannot be read ({reason(error)}); {remedies.unsupported}") from None
    except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:  # the second: of names of columns
        # What is wrong with the content Arrow raises as OSError, too, but without a number of the system's.
        if getattr(error, "errno", None):
            kind = UnreachableError if is_unseen(error) else StoreError
            raise kind(f"{files.at(name)}: cannot be read ({reason(error)}); {remedies.unreadable}") from None
        raise StoreError(f"{files.at(name)}: damaged or not Parquet ({reason(error)}); {remedies.damaged}") from None


def read_footer(files: Files, name: str, size: int | None = None) -> dict[str, Any]:
    """What a shard says of itself, as docs/format.md has it, and `file_rows`, the number of rows it really holds.

    Args:
        files: where it lies.
        name: its path there.
        size: as of `open_shard`.

    Raises:
        StoreError: as `open_shard`, or the footer is not one.
    """
    with open_shard(files, name, size=size) as shard:
        text = (shard.schema_arrow.metadata or {}).get(SHARD_KEY, b"{}")
        rows = shard.metadata.num_rows
    try:
        footer = json.loads(text)
        diverged = [int(model_id) for model_id in footer.get("diverged", [])]
        buffers = footer.get("buffers")
        if buffers is not None:
            if not lies_in(BUFFERS, buffers["file"]):
                raise ValueError(f"names {buffers['file']!r} as its buffers, expected a file in {BUFFERS}/")
            buffers = {"file": str(buffers["file"]), "bytes": int(buffers["bytes"]), "sha256": str(buffers["sha256"])}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"{files.at(name)}: its footer is not as docs/format.md says ({error})") from None
    return {**footer, "diverged": diverged, "buffers": buffers, "file_rows": rows}


def sha256_of(files: Files, name: str) -> str:
    """Hash (hex) of a shard's bytes, or of its buffers'; reads all of them.

    Raises:
        StoreError: they are not the bytes that its seal is of.
    """
    sha256, intact = files.hashed(name)
    if not intact:
        fault = "damaged (its seal is of other bytes: they have changed since it was written)"
        raise StoreError(f"{files.at(name)}: {fault}; {OF_A_RUN.damaged}")
    return sha256


def read_layout(shard: pq.ParquetFile, expected: Callable[[Layout], pa.Schema] = checkpoint_schema) -> Layout:
    """The layout in the footer of a shard or of its buffers, held against the columns.

    Raises:
        StoreError: there is none, it does not fit the column of vectors, or a column is missing.
    """
    schema = shard.schema_arrow
    layout = Layout.from_json((schema.metadata or {}).get(LAYOUT_KEY, b"null"))
    *scalars, vectors = expected(layout)
    for field in (*scalars, vectors):
        found = schema.field(field.name).type if field.name in schema.names else None
        fits = _is_vectors(found, layout.dimension) if field is vectors else found == field.type
        if not fits:
            raise StoreError(
                f"column {field.name}: is {found or 'missing'}, the format and the layout say {field.type}"
            )
    return layout


def vector_rows(table: pa.Table, name: str) -> NDArray[np.float32]:
    """The values of a column of vectors, float32[n, d], without a copy where it is one chunk.

    Raises:
        StoreError: it holds nulls.
    """
    column = table[name]
    dimension = column.type.list_size
    chunks = [chunk.flatten() for chunk in column.chunks if len(chunk)]
    if column.null_count or any(chunk.null_count for chunk in chunks):
        raise StoreError(f"column {name}: holds nulls, which no network has; write NaN for what is not a number")
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


def _table(
    schema: pa.Schema,
    model_ids: NDArray[np.int32],
    first: int,
    vectors: NDArray[np.float32],
    columns: dict[str, NDArray[Any]],
    footer: dict[str, Any],
) -> pa.Table:
    models, epochs = vectors.shape[:2]
    ids = {
        "model_id": np.repeat(model_ids.astype(np.int32), epochs),
        "epoch": np.tile(np.arange(first, first + epochs, dtype=np.int32), models),
    }
    *scalars, last = schema
    arrays = [pa.array({**ids, **columns}[field.name], field.type) for field in scalars]
    arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=last.type))
    table = pa.Table.from_arrays(arrays, schema=schema)
    return table.replace_schema_metadata({**schema.metadata, SHARD_KEY: json.dumps(footer, sort_keys=True).encode()})


def _is_vectors(found: pa.DataType | None, dimension: int) -> bool:
    """Whether a type is a fixed-size list of float32, whatever it says about nulls."""
    return (
        found is not None
        and pa.types.is_fixed_size_list(found)
        and found.value_type == pa.float32()
        and found.list_size == dimension
    )
