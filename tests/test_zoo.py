import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import zoo_pipeline
from zoo_pipeline.data import load_dataset
from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.learning import ZooDataset
from zoo_pipeline.store.schema import SCALAR_NAMES
from zoo_pipeline.workflow import Options, train
from zoo_pipeline.zoo import Zoo


def test_a_run_reads_as_tables_and_weights_in_the_same_order(small_run):
    zoo = Zoo(str(small_run))
    assert zoo.complete
    checkpoints, weights = zoo.checkpoints(), zoo.weights()
    assert checkpoints["model_id"].to_pylist() == [model for model in range(6) for _ in range(4)]
    assert checkpoints["epoch"].to_pylist() == [0, 1, 2, 3] * 6
    assert weights.shape == (24, 1_210)
    assert weights.dtype == np.float32
    assert np.isfinite(weights).all()


def test_some_models_and_epochs_are_the_same_rows(small_run):
    zoo = Zoo(str(small_run))
    everything, weights = zoo.checkpoints(), zoo.weights()
    chosen = zoo.checkpoints(model_ids=[1, 4], epochs=[0, 3])
    assert list(zip(chosen["model_id"].to_pylist(), chosen["epoch"].to_pylist(), strict=True)) == [
        (1, 0), (1, 3), (4, 0), (4, 3),
    ]  # fmt: skip
    rows = np.isin(everything["model_id"], [1, 4]) & np.isin(everything["epoch"], [0, 3])
    assert np.array_equal(zoo.weights(model_ids=[1, 4], epochs=[0, 3]), weights[rows])
    assert zoo.weights(model_ids=[99]).shape == (0, 1_210)
    assert len(zoo.checkpoints(model_ids=[99])) == 0


def test_columns_beyond_the_formats_are_read_where_all_shards_have_them(small_run, tmp_path):
    root = shutil.copytree(small_run, tmp_path / "run")
    (root / "manifest.json").unlink()  # which lists other files
    shards = sorted((root / "checkpoints").iterdir())
    for number, path in enumerate(shards):
        table = pq.ParquetFile(path).read()
        more = pa.array([f"{number}-{row}" for row in range(len(table))])
        pq.write_table(table.append_column("note", more), path)
    zoo = Zoo(str(root))
    assert zoo.checkpoints().column_names == [*SCALAR_NAMES, "note"]
    assert zoo.checkpoints([0], [2], ["note", "epoch"]).to_pylist() == [{"note": "0-2", "epoch": 2}]
    assert ZooDataset(str(root), columns="note")[1][1] == {"note": "0-1"}
    with pytest.raises(ConfigError, match=r"has no column notes \(did you mean note\?\); expected some of model_id, "):
        zoo.checkpoints(columns=["notes"])
    assert zoo.checkpoints(columns="note").column_names == ["note"]


def test_shards_may_differ_in_columns_beyond_the_formats(small_run, tmp_path):
    root = shutil.copytree(small_run, tmp_path / "run")
    (root / "manifest.json").unlink()
    first, second, third = sorted((root / "checkpoints").iterdir())
    tables = [pq.ParquetFile(path).read() for path in (first, second, third)]
    rows = len(tables[0])
    strict = pa.field("score", pa.int64(), nullable=False)
    late, odd = pa.array([2**62] * rows), pa.array([[1.0]] * rows)
    pq.write_table(tables[0].append_column(strict, pa.array(range(rows))).append_column("odd", odd), first)
    pq.write_table(tables[1].append_column("late", late).append_column("score", pa.nulls(rows, pa.int64())), second)
    zoo = Zoo(str(root))
    read = zoo.checkpoints()
    assert read.column_names == [*SCALAR_NAMES, "score", "late"], "nested ones are read by name alone"
    assert read["score"].to_pylist() == [*range(rows), *[None] * 2 * rows]
    assert read["late"].to_pylist() == [*[None] * rows, *[2**62] * rows, *[None] * rows]
    assert zoo.checkpoints(columns=["late", "odd"]).column_names == ["late", "odd"]
    assert ZooDataset(str(root), columns="score").properties["score"].isnan().sum() == 2 * rows
    pq.write_table(tables[2].append_column("score", pa.array(["text"] * rows)), third)
    with pytest.raises(StoreError, match=r"run: files have columns of other types \(.*score"):
        zoo.checkpoints()
    assert len(zoo.checkpoints(columns=["epoch"])) == 3 * rows


def test_a_run_is_a_bag_without_its_diverged_models(small_run, monkeypatch):
    zoo = Zoo(str(small_run))
    monkeypatch.setattr(Zoo, "diverged", {2})
    bag = zoo.bag()
    hidden = np.repeat(np.arange(6) == 2, 4)
    assert np.isnan(bag.weights[hidden]).all()
    assert np.array_equal(bag.weights[~hidden], zoo.weights()[~hidden])
    assert (bag.layout, bag.run, bag.name, bag.complete) == (zoo.layout, zoo.key, "digits-demo", True)
    assert bag.keys.column_names == ["run", "model_id", "epoch"]
    assert bag.model.tolist() == np.repeat(np.arange(6), 4).tolist()
    assert bag.time.tolist() == [0, 1, 2, 3] * 6
    assert bag.metrics.equals(zoo.checkpoints().select(bag.metrics.column_names))


def test_a_rebuilt_network_has_the_accuracy_that_was_recorded(small_run):
    zoo, digits = Zoo(str(small_run)), load_dataset("digits")
    for model_id, epoch in ((0, 0), (3, 2), (5, 3)):
        with torch.no_grad():
            logits = zoo.load_model(model_id, epoch)(torch.tensor(digits.test_images))
        row = zoo.checkpoints([model_id], [epoch]).to_pylist()[0]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(digits.test_labels))
        accuracy = (logits.argmax(1).numpy() == digits.test_labels).mean()
        assert float(loss) == pytest.approx(row["test_loss"], abs=1e-5)
        assert accuracy == pytest.approx(row["test_accuracy"], abs=1e-6)
    with pytest.raises(StoreError, match="no checkpoint of model 6 after epoch 0"):
        zoo.load_model(6, 0)


def test_models_have_every_hyperparameter_and_their_final_metrics(small_run):
    zoo = Zoo(str(small_run))
    models = zoo.models
    assert models["model_id"].to_pylist() == list(range(6))
    assert models["seed"].to_pylist() == list(range(6))
    assert models["group"].to_pylist() == [0, 0, 1, 1, 2, 2]
    assert sorted(models["split"].to_pylist()) == ["test"] + ["train"] * 4 + ["validation"]
    row = models.to_pylist()[2]
    assert row["hidden"] == [16]
    assert (row["optimizer"], row["learning_rate"], row["batch_size"], row["epochs"]) == ("adam", 1e-3, 64, 3)
    assert row["status"] == "ok"
    assert row["parent_run"] is None
    final = zoo.checkpoints([2], [3]).to_pylist()[0]
    assert {key: row[key] for key in ("train_loss", "test_accuracy")} == {
        k: final[k] for k in ("train_loss", "test_accuracy")
    }


@pytest.fixture(scope="module")
def varied_run(tmp_path_factory):
    """Two activations and two learning rates of two seeds: four points, two groups whose ids interleave."""
    out = tmp_path_factory.mktemp("varied") / "run"
    grid = "{activation: [tanh, relu], learning_rate: [0.01, 0.001]}"
    overrides = (f"zoo.population={{seeds: 2, first_seed: 5, grid: {grid}}}", "zoo.training.epochs=2")
    train(Options("digits-demo", str(out), overrides, executor="inline"))
    return out


def test_every_model_of_a_hyperparameter_zoo_has_its_own_row(varied_run):
    rows = Zoo(str(varied_run)).models.to_pylist()
    assert [(row["model_id"], row["activation"], row["learning_rate"], row["seed"]) for row in rows] == [
        (0, "tanh", 0.01, 5), (1, "tanh", 0.01, 6), (2, "relu", 0.01, 5), (3, "relu", 0.01, 6),
        (4, "tanh", 0.001, 5), (5, "tanh", 0.001, 6), (6, "relu", 0.001, 5), (7, "relu", 0.001, 6),
    ]  # fmt: skip
    assert [row["group"] for row in rows] == [0, 0, 1, 1, 0, 0, 1, 1]
    assert len({row["model_key"] for row in rows}) == 8
    finals = Zoo(str(varied_run)).checkpoints(epochs=[2]).sort_by("model_id")
    assert [row["test_loss"] for row in rows] == finals["test_loss"].to_pylist()
    assert rows[0]["test_loss"] < rows[4]["test_loss"]  # of the same seed, the larger learning rate is ahead


@pytest.mark.parametrize("complete", [True, False])
def test_a_rebuilt_network_has_its_models_own_activation(varied_run, complete, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(varied_run, run)
    if not complete:
        for name in ("manifest.json", "models.parquet"):
            (run / name).unlink()
    zoo, digits = Zoo(str(run)), load_dataset("digits")
    for model_id in (1, 3, 4, 6):
        with torch.no_grad():
            logits = zoo.load_model(model_id, 2)(torch.tensor(digits.test_images))
        row = zoo.checkpoints([model_id], [2]).to_pylist()[0]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(digits.test_labels))
        assert float(loss) == pytest.approx(row["test_loss"], abs=1e-5)


def test_an_incomplete_run_is_read_as_far_as_it_goes(small_run, tmp_path):
    partial = tmp_path / "partial"
    shutil.copytree(small_run, partial)
    for name in ("manifest.json", "models.parquet", "checkpoints/group-00001.parquet"):
        (partial / name).unlink()
    zoo = Zoo(str(partial))
    assert not zoo.complete
    assert sorted(set(zoo.checkpoints()["model_id"].to_pylist())) == [0, 1, 4, 5]
    with pytest.raises(StoreError, match="incomplete"):
        zoo.models  # noqa: B018


def test_readers_trust_the_manifest_and_not_the_folder(small_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    shutil.copy(copy / "checkpoints/group-00000.parquet", copy / "checkpoints/group-00009.parquet")
    assert len(Zoo(str(copy)).checkpoints()) == 24
    manifest = json.loads((copy / "manifest.json").read_text())
    assert [shard["shard"] for shard in manifest["shards"]] == [f"checkpoints/group-{n:05d}.parquet" for n in range(3)]


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"has no spec\.json; is this a run directory\?"):
        Zoo(str(tmp_path))


def test_open_is_the_way_to_a_zoo(small_run, tmp_path):
    zoo = zoo_pipeline.open(str(small_run))
    assert isinstance(zoo, Zoo)
    assert (zoo.root, zoo.complete) == (str(small_run), True)
    with pytest.raises(StoreError, match=r"has no spec\.json; is this a run directory\?"):
        zoo_pipeline.open(str(tmp_path))


def test_all_names_leave_pythons_own_open_alone():
    assert "open" not in zoo_pipeline.__all__
    assert "Zoo" in zoo_pipeline.__all__


def test_a_state_dict_is_the_row_cut_as_the_layout_says(small_run):
    zoo = Zoo(str(small_run))
    tensors = zoo.load_state_dict(3, 2)
    assert {name: tuple(tensor.shape) for name, tensor in tensors.items()} == {
        "fc1.weight": (16, 64), "fc1.bias": (16,), "fc2.weight": (10, 16), "fc2.bias": (10,),
    }  # fmt: skip
    joined = torch.cat([tensor.reshape(-1) for tensor in tensors.values()])
    assert torch.equal(joined, torch.from_numpy(zoo.weights([3], [2])[0]))
    network = zoo.load_model(3, 2)
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in network.state_dict().items())
    with pytest.raises(StoreError, match="has no checkpoint of model 6 after epoch 2"):
        zoo.load_state_dict(6, 2)


def test_a_state_dict_needs_no_network_of_ours(small_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    spec = json.loads((run / "spec.json").read_text())
    del spec["spec"]
    (run / "spec.json").write_text(json.dumps(spec))
    zoo = Zoo(str(run))
    with pytest.raises(StoreError, match="so what network this is"):
        zoo.load_model(0, 1)
    assert torch.equal(zoo.load_state_dict(0, 1)["fc2.bias"], Zoo(str(small_run)).load_state_dict(0, 1)["fc2.bias"])
