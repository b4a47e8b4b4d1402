"""The columns of a checkpoint shard and of models.parquet, and how they are encoded (docs/format.md)."""

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.seal import sealed

LAYOUT_KEY = b"zoo.layout"  # schema metadata: the layout as JSON
SHARD_KEY = b"zoo"  # schema metadata: what the shard is, as JSON
ROW_GROUP_ROWS = 1_024
ROW_GROUP_BYTES = 64 << 20
ELEMENT = pa.field("element", pa.float32(), nullable=False)
LEAF = "list.element"  # below a column of vectors, Parquet's name of the values; any other is silently not encoded

SCALARS = (
    pa.field("model_id", pa.int32(), nullable=False),
    pa.field("epoch", pa.int32(), nullable=False),
    pa.field("step", pa.int64(), nullable=False),
    pa.field("train_loss", pa.float32()),
    pa.field("train_accuracy", pa.float32()),
    pa.field("test_loss", pa.float32()),
    pa.field("test_accuracy", pa.float32()),
)
SCALAR_NAMES = [field.name for field in SCALARS]
METRIC_NAMES = SCALAR_NAMES[SCALAR_NAMES.index("train_loss") :]
VALIDATION = (pa.field("validation_loss", pa.float32()), pa.field("validation_accuracy", pa.float32()))  # of imports
VALIDATION_NAMES = [field.name for field in VALIDATION]

MODELS = pa.schema(
    [
        pa.field("model_id", pa.int32(), nullable=False),
        pa.field("model_key", pa.string(), nullable=False),
        pa.field("group", pa.int32(), nullable=False),
        pa.field("seed", pa.int64(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("dataset", pa.string(), nullable=False),
        pa.field("architecture", pa.string(), nullable=False),
        pa.field("hidden", pa.list_(pa.int32()), nullable=False),
        pa.field("bias", pa.bool_(), nullable=False),
        pa.field("image_side", pa.int32()),
        pa.field("activation", pa.string(), nullable=False),
        pa.field("initialisation", pa.string(), nullable=False),
        pa.field("optimizer", pa.string(), nullable=False),
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("momentum", pa.float64(), nullable=False),
        pa.field("weight_decay", pa.float64(), nullable=False),
        pa.field("batch_size", pa.int32(), nullable=False),
        pa.field("epochs", pa.int32(), nullable=False),
        pa.field("schedule", pa.string(), nullable=False),
        pa.field("schedule_epochs", pa.int32(), nullable=False),
        pa.field("schedule_factor", pa.float64(), nullable=False),
        pa.field("dropout", pa.float64(), nullable=False),
        pa.field("label_noise", pa.float64(), nullable=False),
        pa.field("data_fraction", pa.float64(), nullable=False),
        pa.field("parent_run", pa.string()),
        pa.field("parent_model_id", pa.int32()),
        pa.field("parent_epoch", pa.int32()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("train_loss", pa.float32()),
        pa.field("train_accuracy", pa.float32()),
        pa.field("test_loss", pa.float32()),
        pa.field("test_accuracy", pa.float32()),
    ]
)


def checkpoint_schema(layout: Layout) -> pa.Schema:
    """The schema of a shard: the scalar columns, then `weights` fixed_size_list<float32 not null>[d] not null."""
    return _with_vectors(SCALARS, "weights", layout)


def buffers_schema(layout: Layout) -> pa.Schema:
    """The schema of a shard's buffers: model_id, epoch, `buffers` fixed_size_list<float32 not null>[b] not null."""
    return _with_vectors(SCALARS[:2], "buffers", layout)


def encode_checkpoints(table: pa.Table) -> bytes:
    """A shard, or its buffers, as the bytes of a Parquet file.

    The last column holds the vectors: byte-stream-split and zstd for them, row groups of at most 64 MiB.
    """
    *scalars, vectors = table.schema.names
    dimension = table.schema.field(vectors).type.list_size
    return _encode(
        table,
        row_group_size=max(1, min(ROW_GROUP_ROWS, ROW_GROUP_BYTES // (4 * dimension))),
        use_dictionary=scalars,
        write_statistics=scalars,
        column_encoding={f"{vectors}.{LEAF}": "BYTE_STREAM_SPLIT"},
        write_page_index=True,
        sorting_columns=pq.SortingColumn.from_ordering(
            table.schema, [("model_id", "ascending"), ("epoch", "ascending")]
        ),
    )


def encode_table(table: pa.Table) -> bytes:
    """Any other table as the bytes of a Parquet file."""
    return _encode(table)


def _with_vectors(scalars: Sequence[pa.Field], name: str, layout: Layout) -> pa.Schema:
    vectors = pa.field(name, pa.list_(ELEMENT, layout.dimension), nullable=False)
    return pa.schema([*scalars, vectors], metadata={LAYOUT_KEY: layout.to_json().encode()})


def _encode(table: pa.Table, **options: Any) -> bytes:
    # In memory first: pyarrow publishes a valid but truncated file where writing is interrupted.
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=1, write_page_checksum=True, **options)
    return sealed(buffer)
