import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from zoo_pipeline.cli import main
from zoo_pipeline.config import Resources
from zoo_pipeline.errors import StoreError
from zoo_pipeline.exporting import hub
from zoo_pipeline.exporting.card import CARD, size_category
from zoo_pipeline.exporting.rows import Layouts
from zoo_pipeline.exporting.selection import ChosenRows, Contents, select
from zoo_pipeline.exporting.target import Target
from zoo_pipeline.models import Layout
from zoo_pipeline.runtime.exporting import contents_of, export
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.store.columns import CHECKPOINT_COLUMNS, MODEL_COLUMNS
from zoo_pipeline.store.schema import METRIC_NAMES, MODELS, SCALAR_NAMES
from zoo_pipeline.zoo import Zoo


def export_hub(run, out, models=None, epochs=None, **options):
    zoo = Zoo(str(run))
    parts = select(contents_of(zoo), models, epochs)
    table = options.pop("table", None) or zoo.models
    return export(zoo, parts, Target(str(out), None, "hub"), InlineExecutor(Resources()), models=table, **options)


@pytest.fixture(scope="module")
def folder(small_run, tmp_path_factory):
    out = tmp_path_factory.mktemp("hub") / "dataset"
    export_hub(small_run, out, license="cc-by-4.0")
    return out


@pytest.fixture
def load(tmp_path, monkeypatch):
    """`datasets.load_dataset`, without a network and with a cache of its own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return lambda place: datasets.load_dataset(str(place), cache_dir=str(tmp_path / "cache"))


def test_the_hubs_library_reads_the_same_values_to_the_bit(folder, small_run, load):
    zoo, found = Zoo(str(small_run)), load(folder)
    models = {row["model_id"]: row for row in zoo.models.to_pylist()}
    assert {name: len(split) for name, split in found.items()} == {"train": 16, "validation": 4, "test": 4}
    assert found["train"].features["weights"].length == 1_210
    seen = []
    for split, data in found.items():
        table = data.data.table.combine_chunks()
        rows = table.drop_columns("weights").to_pylist()
        flat = table["weights"].combine_chunks().flatten().to_numpy().reshape(-1, 1_210)
        assert flat.dtype == np.float32
        for row, weights in zip(rows, flat, strict=True):
            key = (row["model_id"], row["epoch"])
            seen.append(key)
            assert row["split"] == split
            assert weights.tobytes() == zoo.weights([key[0]], [key[1]]).tobytes()
            assert {name: row[name] for name in SCALAR_NAMES} == zoo.checkpoints([key[0]], [key[1]]).to_pylist()[0]
            model = models[key[0]]
            assert {name: row[name] for name in model if name not in METRIC_NAMES} == {
                name: value for name, value in model.items() if name not in METRIC_NAMES
            }
            assert [row[f"final_{name}"] for name in METRIC_NAMES] == [model[name] for name in METRIC_NAMES]
    assert sorted(seen) == [(model, epoch) for model in range(6) for epoch in range(4)]


def test_the_cards_numbers_are_the_datas(folder, small_run):
    text = (folder / CARD).read_text()
    front = yaml.safe_load(text.split("---")[1])
    tables = {path.name: pq.read_table(path) for path in (folder / "data").iterdir()}
    assert (front["license"], front["pretty_name"], front["size_categories"]) == ("cc-by-4.0", "digits-demo", ["n<1K"])
    assert [each["split"] for each in front["configs"][0]["data_files"]] == ["train", "validation", "test"]
    counts = re.findall(r"^\| `(train|validation|test)` \| (\d+) \| (\d+) \| (\d+) \|$", text, flags=re.MULTILINE)
    assert [(name, int(models), int(rows), int(files)) for name, models, rows, files in counts] == [
        (name, len(set(own["model_id"].to_pylist())), len(own), 1)
        for name in ("train", "validation", "test")
        if (own := tables[f"{name}-00000-of-00001.parquet"])
    ]
    assert "24 checkpoints of 6 neural networks, epochs 0 to 3, each with its 1,210 weights in 4 tensors" in text
    named = re.findall(
        r"^\| `(\w+)` \| ([^|]+) \| [^|]* \| ([^|]+) \|$", text.split("## Columns")[1].split("## ")[0], re.M
    )
    schema = next(iter(tables.values())).schema
    assert [(name, kind) for name, kind, _ in named] == [(field.name, str(field.type)) for field in schema]
    assert all(meaning.strip() for *_, meaning in named)
    spec = json.loads((small_run / "spec.json").read_text())
    assert json.loads(re.search(r"```json\n(.*?)```", text, re.S)[1]) == spec["spec"]
    assert spec["spec_hash"] in text
    layout = re.findall(r"^\| `([\w.]+)` \| \[([\d, ]+)\] \| (\d+) \| (\d+) \|$", text, flags=re.MULTILINE)
    assert [(name, int(offset), int(size)) for name, _, offset, size in layout] == [
        (tensor.name, tensor.offset, tensor.size) for tensor in Zoo(str(small_run)).layout.tensors
    ]
    assert "selection" not in text


def test_the_card_of_an_imported_run_claims_nothing_of_its_own(small_run, tmp_path):
    tree, run, out = tmp_path / "tree", tmp_path / "run", tmp_path / "out"
    inline = ["--executor", "inline"]
    assert main(["export", str(small_run), "--to", str(tree), "--format", "model-zoos", *inline]) == 0
    assert main(["import", str(tree), "--out", str(run), *inline]) == 0
    assert main(["export", str(run), "--to", str(out), "--format", "hub", *inline]) == 0
    text = (out / CARD).read_text()
    assert "| `train_loss` | float |  | as the files say that were imported |" in text
    assert "else by a hash of the names |" in text
    assert "has the same key in every run" not in text
    assert "cross-entropy" not in text


def test_the_cards_code_runs_and_reads_the_first_checkpoint(folder, load, capsys, small_run):
    code = re.search(r"```python\n(.*?)```", (folder / CARD).read_text(), re.S)[1]
    load(folder)  # so that the cache is the test's
    names: dict = {}
    exec(compile(code.replace("FOLDER_OR_REPOSITORY", str(folder)), CARD, "exec"), names)
    first = (names["checkpoint"]["model_id"], names["checkpoint"]["epoch"])
    assert capsys.readouterr().out == f"{first[0]} {first[1]} (1210,) (16, 64)\n"
    expected = Zoo(str(small_run)).weights([first[0]], [first[1]])[0, :1024].reshape(16, 64)
    assert names["tensor"].tobytes() == expected.tobytes()


def test_buffers_are_a_column_of_their_own(buffered_run, tmp_path):
    export_hub(buffered_run, tmp_path / "out")
    table = pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "out" / "data").iterdir())])
    assert table.schema.names[-2:] == ["weights", "buffers"]
    told = [10 * row["model_id"] + row["epoch"] for row in table.select(["model_id", "epoch"]).to_pylist()]
    assert [row[0] for row in table["buffers"].to_pylist()] == told
    assert "## Layout of the buffers" in (tmp_path / "out" / CARD).read_text()


def test_a_selection_says_that_it_is_one_and_a_run_without_splits_has_one(small_run, tmp_path):
    table = Zoo(str(small_run)).models.drop_columns(["split", "seed"])
    report = export_hub(small_run, tmp_path / "out", "1-4", "last", table=table)
    assert (report.checkpoints, report.models, report.files) == (4, 4, 2)
    found = pq.read_table(tmp_path / "out" / "data" / "train-00000-of-00001.parquet")
    assert found["model_id"].to_pylist() == [1, 2, 3, 4]
    assert set(found["epoch"].to_pylist()) == {3}
    assert not {"split", "seed"} & set(found.schema.names)
    text = (tmp_path / "out" / CARD).read_text()
    assert "The zoo has 24 checkpoints; these are a selection." in text
    assert "license: unknown" in text


def test_columns_that_the_format_does_not_know_are_kept_and_said_to_be(small_run, tmp_path):
    table = Zoo(str(small_run)).models.append_column("final_mood", pa.array(list("abcdef")))
    export_hub(small_run, tmp_path / "out", table=table)
    found = pq.read_table(tmp_path / "out" / "data")
    assert {(row["model_id"], row["final_mood"]) for row in found.select(["model_id", "final_mood"]).to_pylist()} == {
        (at, "abcdef"[at]) for at in range(6)
    }
    assert (
        "| `final_mood` | string |  | as whoever made the run has it in models.parquet |"
        in (tmp_path / "out" / CARD).read_text()
    )


def shard(name: str, ids: list[int]) -> ChosenRows:
    model_id, epoch = np.repeat(np.array(ids, np.int32), 2), np.tile(np.array([0, 1], np.int32), len(ids))
    contents = Contents(name, None, None, None, model_id, epoch, np.full(len(epoch), -1))
    return ChosenRows(contents, np.arange(2 * len(ids)), np.zeros(2 * len(ids), dtype=bool))


def test_files_are_filled_up_to_a_size_and_numbered():
    models = pa.table({"model_id": pa.array([0, 1, 2, 3], pa.int32()), "split": ["train", "test", "train", "train"]})
    parts = [shard("a", [0, 1]), shard("b", [2]), shard("c", [3])]
    files = hub.data_files(parts, models, dimension=10, file_bytes=160)
    assert [(file.name, file.rows, [part.contents.shard for part in file.parts]) for file in files] == [
        ("data/train-00000-of-00002.parquet", 4, ["a", "b"]),
        ("data/train-00001-of-00002.parquet", 2, ["c"]),
        ("data/test-00000-of-00001.parquet", 2, ["a"]),
    ]
    assert [len(hub.data_files(parts, models, 10, file_bytes=size)) for size in (10_000, 80)] == [2, 4]


def test_models_without_a_row_and_splits_without_a_name_are_refused():
    models = pa.table({"model_id": pa.array([0, 2], pa.int32()), "split": ["train", "../x"]})
    with pytest.raises(StoreError, match=r"has a split '\.\./x'; the hub takes letters"):
        hub.data_files([shard("a", [0, 2])], models, 10)
    with pytest.raises(StoreError, match="has no row of model 1, of which there are checkpoints"):
        hub.data_files([shard("a", [0, 1])], models.drop_columns("split"), 10)


@pytest.mark.parametrize("column", ["weights", "step"])
def test_nulls_that_the_format_does_not_allow_are_told(column):
    layouts = Layouts(Layout.of({"w": (2,)}))
    models = pa.table({"model_id": pa.array([0], pa.int32())})
    schema = hub.hub_schema(models.schema, layouts)
    row = {"model_id": 0, "epoch": 1, "step": 2, "weights": [1.0, 2.0], **dict.fromkeys(METRIC_NAMES, 0.5)}
    table = pa.table({field.name: pa.array([row[field.name]], field.type) for field in schema})
    assert hub.joined(table, models, schema).to_pylist() == [row]
    nullable = pa.list_(pa.float32(), 2) if column == "weights" else pa.int64()
    broken = pa.array([[None, 1.0] if column == "weights" else None], nullable)
    with pytest.raises(StoreError, match=f"column {column}: holds nulls"):
        hub.joined(table.set_column(table.column_names.index(column), column, broken), models, schema)


def test_a_file_is_written_piece_by_piece_and_holds_no_more_than_a_few_row_groups():
    dimension = (1 << 20) + 1  # 16 rows of 4 MiB and a bit pass a row group's 64 MiB
    layouts = Layouts(Layout.of({"w": (dimension,)}))
    schema = pa.schema([*hub.SCALARS[:1], hub.hub_schema(MODELS, layouts).field("weights")])
    made = []

    def tables():
        for model in range(40):
            made.append(model)
            values = pa.array(np.full(dimension, model, np.float32))
            vectors = pa.FixedSizeListArray.from_arrays(values, type=schema.field("weights").type)
            yield pa.table([pa.array([model], pa.int32()), vectors], schema=schema)

    pieces, ahead = [], []
    for piece in hub.parquet_bytes(schema, tables()):
        pieces.append(piece)
        ahead.append(len(made))
    assert ahead == [15, 30, 40, 40]
    found = pq.ParquetFile(pa.BufferReader(b"".join(pieces)), page_checksum_verification=True)
    assert [found.metadata.row_group(at).num_rows for at in range(3)] == [15, 15, 10]
    assert found.read(["model_id"])["model_id"].to_pylist() == list(range(40))


def test_every_column_of_a_run_has_a_meaning_in_the_words_of_the_format():
    assert list(CHECKPOINT_COLUMNS) == [*SCALAR_NAMES, "weights"]
    assert list(MODEL_COLUMNS) == [name for name in MODELS.names if name not in METRIC_NAMES]


def test_sizes_have_the_hubs_words():
    assert [size_category(10**power) for power in range(2, 10)] == [
        "n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "n>1B",
    ]  # fmt: skip
