import io
import json
import threading
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.errors import StoreError
from zoo_pipeline.models import Layout
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rows import RangeRows
from zoo_pipeline.store.schema import LAYOUT_KEY, encode_checkpoints
from zoo_pipeline.store.shards import contents_sha256, open_shard, read_footer, read_layout, shard_table, vector_rows
from zoo_pipeline.training.group import METRICS

LAYOUT = Layout.of({"fc1.weight": (4, 8), "fc1.bias": (4,)})


def table(models=3, epochs=5, layout=LAYOUT, seed=0) -> pa.Table:
    generator = np.random.default_rng(seed)
    weights = generator.normal(size=(models, epochs, layout.dimension)).astype(np.float32)
    metrics = {name: generator.random((models, epochs), dtype=np.float32) for name in METRICS}
    rows = RangeRows(models, 0, epochs, layout.dimension)
    for epoch in range(epochs):
        rows.add(epoch * 10, weights[:, epoch], {name: values[:, epoch] for name, values in metrics.items()})
    footer = {"group": 0, "spec_hash": "abc", "rows": models * epochs, "diverged": []}
    return shard_table(np.arange(models, dtype=np.int32), rows, layout, footer)


def test_rows_are_sorted_and_keep_their_values():
    made = table()
    assert made["model_id"].to_pylist() == [0] * 5 + [1] * 5 + [2] * 5
    assert made["epoch"].to_pylist() == [0, 1, 2, 3, 4] * 3
    assert made["step"].to_pylist() == [0, 10, 20, 30, 40] * 3
    expected = np.random.default_rng(0).normal(size=(15, 36)).astype(np.float32)
    back = pq.read_table(io.BytesIO(encode_checkpoints(made)))
    assert np.array_equal(np.stack(back["weights"].to_numpy()), expected)
    assert contents_sha256(back) == contents_sha256(made)


def test_the_weights_are_byte_stream_split_and_zstd_without_dictionary_and_statistics():
    metadata = pq.read_metadata(io.BytesIO(encode_checkpoints(table())))
    group = metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    weights = columns["weights.list.element"]
    assert "BYTE_STREAM_SPLIT" in weights.encodings
    assert "PLAIN" not in weights.encodings
    assert "RLE_DICTIONARY" not in weights.encodings
    assert weights.compression == "ZSTD"
    assert not weights.is_stats_set
    assert columns["model_id"].is_stats_set
    assert (columns["model_id"].statistics.min, columns["model_id"].statistics.max) == (0, 2)
    assert [(column.column_index, column.descending) for column in group.sorting_columns] == [(0, False), (1, False)]


def test_the_schema_is_the_documented_one():
    schema = pq.read_schema(io.BytesIO(encode_checkpoints(table())))
    assert str(schema.field("weights").type) == "fixed_size_list<element: float not null>[36]"
    assert not schema.field("weights").nullable
    assert {name: str(schema.field(name).type) for name in schema.names if name != "weights"} == {
        "model_id": "int32", "epoch": "int32", "step": "int64", "train_loss": "float", "train_accuracy": "float",
        "test_loss": "float", "test_accuracy": "float",
    }  # fmt: skip
    assert Layout.from_json(schema.metadata[LAYOUT_KEY]) == LAYOUT


@pytest.mark.parametrize(("width", "rows"), [(36, 1_024), (1 << 20, 16)])
def test_row_groups_have_at_most_1024_rows_and_64_mib(width, rows):
    layout = Layout.of({"w": (width,)})
    metadata = pq.read_metadata(io.BytesIO(encode_checkpoints(table(models=1, epochs=rows + 1, layout=layout))))
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [rows, 1]


def test_the_same_table_gives_the_same_bytes():
    assert encode_checkpoints(table()) == encode_checkpoints(table())
    assert contents_sha256(table()) != contents_sha256(table(seed=1))


def test_contents_do_not_depend_on_chunks_or_metadata():
    made = table()
    chunked = pa.concat_tables([made.slice(0, 4), made.slice(4)]).replace_schema_metadata({})
    assert contents_sha256(chunked) == contents_sha256(made)
    assert contents_sha256(made.slice(0, 4)) != contents_sha256(made)


def test_the_footer_says_what_the_shard_is(tmp_path):
    files = Files(str(tmp_path))
    files.publish("a.parquet", encode_checkpoints(table()))
    assert read_footer(files, "a.parquet") == {
        "group": 0, "spec_hash": "abc", "rows": 15, "diverged": [], "buffers": None, "file_rows": 15,
    }  # fmt: skip
    with open_shard(files, "a.parquet") as shard:
        assert read_layout(shard) == LAYOUT


class Watched(Files):
    """Files that note which threads read them."""

    @contextmanager
    def open(self, name):
        class File(io.FileIO):
            def read(self, *arguments):
                readers.add(threading.get_ident())
                return super().read(*arguments)

        with File(self.at(name)) as file:
            yield file


readers: set[int] = set()


def test_a_shard_is_read_by_the_thread_that_asks_for_it(tmp_path):
    """One of Arrow's that still holds bytes of a Python file at the interpreter's end would abort the process."""
    files = Watched(str(tmp_path))
    files.publish("a.parquet", encode_checkpoints(table()))
    readers.clear()
    with open_shard(files, "a.parquet") as shard:
        shard.read(use_threads=False)
        shard.read_row_group(0, columns=["weights", "loss"], use_threads=False)
        list(shard.iter_batches(4, use_threads=False))
    assert readers == {threading.get_ident()}


def test_every_flipped_bit_of_the_weights_is_noticed(tmp_path):
    data = encode_checkpoints(table())
    column = pq.read_metadata(io.BytesIO(data)).row_group(0).column(7)
    start = column.data_page_offset
    for number, place in enumerate(range(start + 50, start + column.total_compressed_size, 97)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << number % 8
        name = f"{number}.parquet"
        Files(str(tmp_path)).publish(name, bytes(damaged))
        with pytest.raises(StoreError, match="damaged or not Parquet"), open_shard(Files(str(tmp_path)), name) as shard:
            shard.read()
    assert number > 10


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:100], lambda data: b"", lambda data: b"x" * 99]
)
def test_a_damaged_shard_is_named(tmp_path, damage):
    files = Files(str(tmp_path))
    files.publish("a.parquet", damage(encode_checkpoints(table())))
    remedy = "the command that began the run goes on by --resume"
    with pytest.raises(StoreError, match=r"a\.parquet: damaged or not Parquet .*; zoo verify RUN says what mends it$"):
        read_footer(files, "a.parquet")
    with pytest.raises(StoreError, match=rf"b\.parquet: missing; {remedy}$"):
        read_footer(files, "b.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: made.drop_columns("epoch"), "column epoch: is missing"),
        (lambda made: made.drop_columns("weights"), "column weights: is missing"),
        (
            lambda made: _with_weights(made, pa.list_(pa.float64(), 36)),
            "column weights: is fixed_size_list<element: double>",
        ),
        (lambda made: _with_weights(made, pa.list_(pa.float32())), "column weights: is list<element: float>"),
        (lambda made: made.set_column(0, "model_id", made["model_id"].cast(pa.int64())), "column model_id: is int64"),
    ],
)
def test_columns_other_than_documented_are_named(tmp_path, change, message):
    changed = change(table())
    pq.write_table(changed, tmp_path / "a.parquet")
    with open_shard(Files(str(tmp_path)), "a.parquet") as shard, pytest.raises(StoreError) as caught:
        read_layout(shard)
    assert message in str(caught.value)


def _with_weights(made: pa.Table, type_: pa.DataType) -> pa.Table:
    return made.set_column(7, "weights", pa.array(made["weights"].to_pylist(), type_))


def test_null_weights_are_refused():
    values = np.zeros((2, 3), np.float32).tolist()
    for holes in ([values[0], None], [values[0], [0.0, None, 0.0]]):
        with pytest.raises(StoreError, match="column weights: holds nulls"):
            vector_rows(pa.table({"weights": pa.array(holes, pa.list_(pa.float32(), 3))}), "weights")
    whole = pa.table({"weights": pa.chunked_array([pa.array(values, pa.list_(pa.float32(), 3))] * 2)})
    assert vector_rows(whole, "weights").shape == (4, 3)
    assert vector_rows(whole.slice(1, 2), "weights").shape == (2, 3)
    assert vector_rows(whole.slice(0, 0), "weights").shape == (0, 3)


@pytest.mark.parametrize(
    "footer", ["null", "[]", "{", '{"diverged": null}', '{"diverged": ["x"]}', "[" * 100_000, '{"buffers": {}}']
)
def test_a_footer_that_is_none_is_named(tmp_path, footer):
    made = table()
    changed = made.replace_schema_metadata({**made.schema.metadata, b"zoo": footer.encode()})
    Files(str(tmp_path)).publish("a.parquet", encode_checkpoints(changed))
    with pytest.raises(StoreError, match=r"a\.parquet: its footer is not as docs/format\.md says"):
        read_footer(Files(str(tmp_path)), "a.parquet")


def test_a_layout_that_does_not_fit_the_weights_is_refused(tmp_path):
    files = Files(str(tmp_path))
    made = table()
    wrong = {**made.schema.metadata, LAYOUT_KEY: Layout.of({"w": (35,)}).to_json().encode()}
    files.publish("a.parquet", encode_checkpoints(made.replace_schema_metadata(wrong)))
    with (
        open_shard(files, "a.parquet") as shard,
        pytest.raises(StoreError, match=r"column weights: is .*\[36\], the format and the layout say .*\[35\]"),
    ):
        read_layout(shard)
    assert json.loads(wrong[LAYOUT_KEY])["tensors"][0]["shape"] == [35]
