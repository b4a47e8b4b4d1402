"""`zoo import`: trees and folders of checkpoints become runs that everything else reads."""

import hashlib
import json
import os
import pickle
import re
import shutil
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import save_file

from zoo_pipeline import ZooDataset
from zoo_pipeline.cli import main
from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.store.schema import METRIC_NAMES
from zoo_pipeline.zoo import Zoo

INLINE = ["--executor", "inline"]
EXPORTED = ["--format", "model-zoos", *INLINE]


def state(zoo: Zoo, weights) -> dict[str, torch.Tensor]:
    """The tensors of one checkpoint."""
    return {name: torch.from_numpy(values.copy()) for name, values in zoo.layout.unflatten(weights).items()}


@pytest.fixture
def zoo(small_run) -> Zoo:
    """Six models of 1,210 weights, four checkpoints of each."""
    return Zoo(str(small_run))


@pytest.fixture
def tree(zoo, tmp_path) -> Path:
    """The zoo as Ray Tune leaves it: a folder for each trial, in it one for each checkpoint."""
    root = tmp_path / "tree"
    models = {model["model_id"]: model for model in zoo.models.to_pylist()}
    for row, weights in zip(zoo.checkpoints().to_pylist(), zoo.weights(), strict=True):
        trial = root / "experiment" / f"NN_tune_trainable_{row['model_id']:05d}"
        folder = trial / f"checkpoint_{row['epoch']:06d}"
        folder.mkdir(parents=True)
        torch.save(state(zoo, weights), folder / "checkpoints")
        torch.save({"state": {}, "param_groups": []}, folder / "optimizer")
        model = models[row["model_id"]]
        said = {"model::nlin": model["activation"], "optim::lr": model["learning_rate"], "seed": model["seed"]}
        (trial / "params.json").write_text(json.dumps({**said, "model::type": "MLP", "mixed": None}))
        line = {"training_iteration": row["epoch"], "train_loss": row["train_loss"], "train_acc": row["train_accuracy"]}
        line |= {"test_loss": row["test_loss"], "test_acc": row["test_accuracy"], "val_loss": 0.5, "hostname": "x"}
        with (trial / "result.json").open("a") as results:
            results.write(json.dumps(line) + "\n")
    return root


def imported(*words: str) -> Zoo:
    """The run that an import makes."""
    assert main(["import", *words, *INLINE]) == 0
    return Zoo(words[words.index("--out") + 1])


def account(root) -> dict:
    return json.loads((Path(root) / "import.json").read_text())


def test_a_tree_of_ray_tune_becomes_the_run_that_it_was(tree, zoo, tmp_path, capsys):
    out = str(tmp_path / "run")
    found = imported(str(tree), "--out", out)
    assert found.complete
    np.testing.assert_array_equal(found.weights(), zoo.weights())
    assert found.layout == zoo.layout
    there, here = found.checkpoints(), zoo.checkpoints()
    for name in ("model_id", "epoch", *METRIC_NAMES):
        assert there[name].equals(here[name]), name
    models = found.models.to_pylist()
    assert [model["name"] for model in models] == [f"experiment/NN_tune_trainable_{at:05d}" for at in range(6)]
    truth = zoo.models.to_pylist()
    for name in ("activation", "learning_rate", "seed", *METRIC_NAMES):
        assert [model[name] for model in models] == [model[name] for model in truth], name
    assert {model["model::type"] for model in models} == {"MLP"}
    assert {model["split"] for model in models} == {"train", "validation", "test"}
    shard = pq.read_table(f"{out}/checkpoints/group-00000.parquet")
    assert shard["file"][1].as_py() == f"{tree}/experiment/NN_tune_trainable_00000/checkpoint_000001/checkpoints"
    assert set(shard["validation_loss"].to_pylist()) == {0.5}
    said = account(out)
    assert (said["files"], said["imported"], said["unreadable"]["count"]) == (24, 24, 0)
    assert said["passed_over"] == {"optimizer": 24}
    assert main(["verify", out]) == 0
    assert main(["analyze", out, *INLINE]) == 0
    assert main(["report", out]) == 0
    told = capsys.readouterr().out
    assert re.search(r"models as their names say +6 of 6", told)
    assert "Of 6 models that the names claim, 6 are what they are called" in (tmp_path / "run/report.html").read_text()


def test_a_zip_is_read_without_being_unpacked(tree, zoo, tmp_path):
    with zipfile.ZipFile(tmp_path / "tree.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(tree.rglob("*")):
            packed.write(file, file.relative_to(tree))
    found = imported(str(tmp_path / "tree.zip"), "--out", str(tmp_path / "run"))
    np.testing.assert_array_equal(found.weights(), zoo.weights())
    assert found.models["learning_rate"].equals(zoo.models["learning_rate"])


def test_both_executors_make_the_same_run(tree, tmp_path):
    imported(str(tree), "--out", str(tmp_path / "inline"))
    assert main(["import", str(tree), "--out", str(tmp_path / "ray"), "--ray-address", "local"]) == 0
    for name in ("checkpoints/group-00000.parquet", "models.parquet", "manifest.json"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "inline" / name).read_bytes(), name


def test_files_of_no_known_model_have_no_properties_of_one(zoo, tmp_path):
    named = [f"run{row // 2}_epoch{row % 2}" for row in range(4)]
    for name, weights in zip([*named, "a", "b", "c", "d"], zoo.weights(), strict=False):
        (tmp_path / "files").mkdir(exist_ok=True)
        torch.save(state(zoo, weights), tmp_path / "files" / f"{name}.pt")
    out = str(tmp_path / "run")
    words = [str(tmp_path / "files"), "--out", out, "--pattern", "{model}_epoch{epoch}.pt"]
    model_id = imported(*words).checkpoints()["model_id"].to_pylist()
    assert sorted(model_id) == [-1] * 4 + [0, 0, 1, 1]
    properties = ZooDataset(out, ("model_id", "name", "split"))[:][1]
    assert properties["model_id"].tolist() == model_id
    assert properties["name"] == [f"run{each}" if each >= 0 else None for each in model_id]
    assert [split is None for split in properties["split"]] == [each < 0 for each in model_id]


def test_files_of_several_layouts_become_a_run_each(tree, zoo, tmp_path):
    other = {"weight": torch.randn(3, 4), "bias": torch.randn(3)}
    for epoch in range(3):
        torch.save(other, tree / f"small_{epoch}.pt")
    out = tmp_path / "runs"
    assert main(["import", str(tree), "--out", str(out), *INLINE]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["d-1210", "d-15", "import.json"]
    np.testing.assert_array_equal(Zoo(str(out / "d-1210")).weights(), zoo.weights())
    assert Zoo(str(out / "d-15")).checkpoints()["epoch"].to_pylist() == [0, 1, 2]
    assert [run["checkpoints"] for run in account(out)["runs"]] == [24, 3]


def test_files_with_the_same_tensors_in_another_order_are_of_one_layout(zoo, tmp_path):
    weights = zoo.weights()[:6]
    (tmp_path / "files").mkdir()
    for row, each in enumerate(weights):
        tensors = state(zoo, each)
        if row % 2:
            save_file(zoo.layout.unflatten(each), tmp_path / "files" / f"x_{row}.safetensors")
        else:
            torch.save(tensors if row else dict(reversed(tensors.items())), tmp_path / "files" / f"x_{row}.pt")
    found = imported(str(tmp_path / "files"), "--out", str(tmp_path / "run"))
    assert [tensor.name for tensor in found.layout.tensors] == [tensor.name for tensor in zoo.layout.tensors][::-1]
    for there, here in zip(found.weights(), weights, strict=True):
        tensors = found.layout.unflatten(there)
        for name, values in zoo.layout.unflatten(here).items():
            np.testing.assert_array_equal(tensors[name], values)


def test_a_damaged_import_is_mended_from_the_same_files(tree, zoo, tmp_path, capsys):
    out = tmp_path / "run"
    imported(str(tree), "--out", str(out))
    files = [out / "checkpoints" / "group-00000.parquet", out / "models.parquet"]
    whole = [file.read_bytes() for file in files]
    files[0].write_bytes(whole[0][:-1])
    assert main(["verify", str(out)]) == 1
    assert "the run is not whole; import the same files again with --resume" in capsys.readouterr().err
    assert main(["verify", str(out), "--repair", *INLINE]) == 2
    assert "nothing of it can be trained again; import the same files again with --resume" in capsys.readouterr().err
    assert files[0].read_bytes() == whole[0][:-1], "what there is stays, until there is better"
    again = [str(tree), "--out", str(out), "--resume"]
    imported(*again)
    assert "imported 24 files, " in capsys.readouterr().out
    for file, data in zip(files, whole, strict=True):
        flipped = bytearray(data)
        flipped[len(data) // 2] ^= 1
        file.write_bytes(flipped)
    imported(*again)
    assert [file.read_bytes() for file in files] == whole
    assert main(["verify", str(out)]) == 0
    capsys.readouterr()
    imported(*again)
    assert "imported 0 files, found 24 done, " in capsys.readouterr().out
    results = tree / "experiment" / "NN_tune_trainable_00002" / "result.json"
    results.write_text("".join(results.read_text().splitlines(keepends=True)[:-1]))
    for damaged in (files[0], out / "manifest.json"):
        damaged.write_bytes(damaged.read_bytes()[:-1])
        imported(*again)
        assert main(["verify", str(out)]) == 0, "also where it does not come back to the bit"
    assert None in Zoo(str(out)).models["train_loss"].to_pylist()
    listed = (out / "manifest.json").read_bytes()
    files[0].write_bytes(files[0].read_bytes()[:-1])
    original = tree / "experiment" / "NN_tune_trainable_00003" / "checkpoint_000001" / "checkpoints"
    data, about = original.read_bytes(), original.stat()
    at = data.index(zoo.weights([3], [1])[0, :4].tobytes())
    original.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])  # which the checksum within tells
    os.utime(original, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert main(["import", *again, *INLINE]) == 2
    assert f"is lost or damaged, and cannot be made again without {original}: " in capsys.readouterr().err
    assert (out / "manifest.json").read_bytes() == listed
    original.write_bytes(data)
    os.utime(original, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert len(imported(*again).checkpoints()) == 24
    shutil.rmtree(tree / "experiment" / "NN_tune_trainable_00003")
    files[0].write_bytes(whole[0][:-1])
    assert main(["import", *again, *INLINE]) == 2
    assert files[0].read_bytes() == whole[0][:-1]


def test_a_folder_of_runs_is_no_run_and_says_so(tree, tmp_path, capsys):
    torch.save({"weight": torch.randn(3, 4)}, tree / "small.pt")
    out = tmp_path / "runs"
    assert main(["import", str(tree), "--out", str(out), *INLINE]) == 0
    told = f"zoo: {out}: holds runs, such as {out}/d-12, {out}/d-1210; name one of them"
    for command in ("status", "analyze", "report", "verify"):
        assert main([command, str(out), *(INLINE if command == "analyze" else [])]) == 2
        assert told in capsys.readouterr().err


def test_what_is_best_beside_a_trial_does_not_move_its_metrics(tree, zoo, tmp_path):
    trial = tree / "experiment" / "NN_tune_trainable_00003"
    shutil.copy(trial / "checkpoint_000001" / "checkpoints", trial / "best.pt")
    shutil.rmtree(trial / "checkpoint_000003")  # result.json has a line more
    rows = imported(str(tree), "--out", str(tmp_path / "run")).checkpoints([3])
    assert rows["epoch"].to_pylist() == [-1, 0, 1, 2]
    expected = zoo.checkpoints([3], [0, 1, 2])["train_loss"].to_pylist()
    assert rows["train_loss"].to_pylist() == [None, *expected]


def test_what_is_best_of_a_model_of_steps_is_one_of_them(zoo, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    for at, weights in enumerate(zoo.weights()[:3]):
        said = {"state_dict": state(zoo, weights), "epoch": at // 2, "global_step": 100 * (at + 1)}
        torch.save(said, folder / f"step={100 * (at + 1)}.ckpt")
    shutil.copy(folder / "step=200.ckpt", folder / "best.ckpt")
    found = imported(str(folder), "--out", str(tmp_path / "run"))
    rows = found.checkpoints()
    assert (rows["epoch"].to_pylist(), rows["step"].to_pylist()) == ([-1] * 4, [100, 200, 200, 300])
    last = found.load_state_dict(0, "last")["fc2.bias"]
    assert torch.equal(last, state(zoo, zoo.weights()[2])["fc2.bias"])
    assert torch.equal(found.load_state_dict(0, step=300)["fc2.bias"], last)


def test_weights_that_are_no_numbers_are_given_back_as_they_are(zoo, tmp_path):
    folder, run, out = tmp_path / "files", str(tmp_path / "run"), tmp_path / "out"
    folder.mkdir()
    weights = {"bias": torch.tensor([1.0, float("nan")]), "scale": torch.tensor(2.0)}
    for name in ("x_1", "x_2"):
        torch.save({"state_dict": weights, "epoch": 2}, folder / f"{name}.pt")
    shutil.copy(folder / "x_2.pt", folder / "x_last.pt")
    found = imported(str(folder), "--out", run)
    assert found.checkpoints()["epoch"].to_pylist() == [1, 2, 2]
    assert found.diverged == {0}
    for epoch in (1, 2):
        assert found.load_state_dict(0, epoch)["bias"].numpy().tobytes() == weights["bias"].numpy().tobytes()
    assert main(["export", run, "--to", str(tmp_path / "x.pt"), "--epochs", "2", *INLINE]) == 0
    assert main(["export", run, "--to", str(out), "--format", "hub", *INLINE]) == 0
    back = imported(str(out), "--out", str(tmp_path / "back"))
    assert back.layout == found.layout
    assert back.weights().tobytes() == found.weights().tobytes()


def test_a_damaged_dataset_of_the_hub_is_told_and_files_beside_it_are_files(zoo, small_run, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(small_run), "--to", str(out), "--format", "hub", *INLINE]) == 0
    (out / ".cache").mkdir()
    for place in (out / "extra_1.pt", out / ".cache" / "x.pt"):
        torch.save(state(zoo, zoo.weights()[0]), place)
    for model_id in (3, 99):  # one of them is in the dataset, too
        (out / f"model-{model_id:05d}").mkdir()
        (out / f"model-{model_id:05d}" / "params.json").write_text('{"seed": 7}')
    command = ["import", str(out), "--out", str(tmp_path / "run"), *INLINE]
    assert len(imported(*command[1:4]).checkpoints()) == 25
    torch.save(state(zoo, zoo.weights()[1]), out / "extra_1.pt")
    assert main([*command, "--resume"]) == 2
    assert "holds a run of another configuration" in capsys.readouterr().err
    first = sorted((out / "data").iterdir())[0]
    first.write_bytes(first.read_bytes()[:-1])
    assert main([*command[:3], str(tmp_path / "again"), *INLINE]) == 2
    assert f"{first}: " in capsys.readouterr().err
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("format", ["state-dict", "safetensors", "hub"])
def test_what_is_best_and_says_nothing_more_goes_out_and_comes_back(format, zoo, tmp_path):
    folder, out = tmp_path / "files", tmp_path / "out"
    folder.mkdir()
    for name, weights in zip(("epoch_1", "epoch_2", "best"), zoo.weights(), strict=False):
        torch.save(state(zoo, weights), folder / f"{name}.pt")
    found = imported(str(folder), "--out", str(tmp_path / "run"))
    assert found.checkpoints()["epoch"].to_pylist() == [-1, 1, 2]
    assert main(["export", str(tmp_path / "run"), "--to", str(out), "--format", format, *INLINE]) == 0
    back = imported(str(out), "--out", str(tmp_path / "back"))
    for name in ("model_id", "epoch", "step"):
        assert back.checkpoints()[name].equals(found.checkpoints()[name]), name
    np.testing.assert_array_equal(back.weights(), found.weights())


def test_steps_of_one_epoch_keep_their_order(zoo, tmp_path):
    for step, weights in zip((100, 200, 300), zoo.weights(), strict=False):
        said = {"state_dict": state(zoo, weights), "epoch": 0, "global_step": step}
        (tmp_path / "files").mkdir(exist_ok=True)
        torch.save(said, tmp_path / "files" / f"step={step}.ckpt")
    rows = imported(str(tmp_path / "files"), "--out", str(tmp_path / "run")).checkpoints()
    assert (rows["epoch"].to_pylist(), rows["step"].to_pylist()) == ([-1] * 3, [100, 200, 300])


def test_a_cut_result_is_told_with_its_trial(tree, tmp_path, capsys):
    place = tree / "experiment" / "NN_tune_trainable_00003" / "result.json"
    place.write_bytes(place.read_bytes()[:-5])
    imported(str(tree), "--out", str(tmp_path / "run"))
    assert account(tmp_path / "run")["troubles"]["listed"] == [f"{place}: line 4 is no JSON"]
    assert f"zoo: {place}: line 4 is no JSON; what stands there is not imported" in capsys.readouterr().err


def test_a_pattern_that_fits_no_file_is_refused(tree, tmp_path, capsys):
    words = ["import", str(tree), "--out", str(tmp_path / "run"), "--pattern", "{model}-{epoch}.pt", *INLINE]
    assert main(words) == 2
    assert "--pattern {model}-{epoch}.pt: fits none of 24 files, such as experiment/" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_read_is_listed_and_the_rest_imported(tree, tmp_path, capsys):
    (tree / "note.pt").write_text("nothing")
    (tree / "circle").symlink_to(tree)
    (tree / "dangling.pt").symlink_to(tree / "nowhere.pt")
    found = imported(str(tree), "--out", str(tmp_path / "run"))
    assert len(found.checkpoints()) == 24
    said = account(tmp_path / "run")
    assert [line["file"] for line in said["unreadable"]["listed"]] == [f"{tree}/dangling.pt", f"{tree}/note.pt"]
    assert said["links_not_followed"]["listed"] == [f"{tree}/circle"]
    told = capsys.readouterr().err
    assert "zoo: 2 files could not be read" in told
    assert "import.json lists them" in told
    assert main(["import", str(tree), "--out", str(tmp_path / "strict"), "--strict", *INLINE]) == 2
    assert f"{tree}/dangling.pt: " in capsys.readouterr().err
    assert not (tmp_path / "strict").exists()


class Harm:
    """What runs a command where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_what_would_run_is_refused_and_does_not(tree, tmp_path):
    marker = tmp_path / "ran"
    torch.save({"weight": Harm(marker)}, tree / "new.pt")
    torch.save({"weight": Harm(marker)}, tree / "old.pt", _use_new_zipfile_serialization=False)
    (tree / "raw.pt").write_bytes(pickle.dumps(Harm(marker)))
    imported(str(tree), "--out", str(tmp_path / "run"))
    lines = account(tmp_path / "run")["unreadable"]["listed"]
    assert [line["file"] for line in lines] == [f"{tree}/{name}.pt" for name in ("new", "old", "raw")]
    assert all(line["why"].startswith("refused: ") for line in lines), lines
    assert not marker.exists()


def test_what_the_file_itself_says_counts_where_its_name_says_nothing(zoo, tmp_path):
    folder = tmp_path / "all" / "mine"
    folder.mkdir(parents=True)
    for name, epoch in (("a", 3), ("b", 1), ("c", 2)):
        saved = {"state_dict": state(zoo, zoo.weights([0], [epoch])[0]), "epoch": epoch, "global_step": 10 * epoch}
        torch.save(saved, folder / f"{name}.pt")
    pattern = ["--pattern", "{model}/{*}.pt"]
    found = imported(str(tmp_path / "all"), "--out", str(tmp_path / "run"), *pattern)
    assert found.checkpoints()["epoch"].to_pylist() == [1, 2, 3]
    assert found.checkpoints()["step"].to_pylist() == [10, 20, 30]
    np.testing.assert_array_equal(found.weights(), zoo.weights([0], [1, 2, 3]))


def test_nothing_to_import_is_an_error_that_writes_nothing(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/readme.txt").write_text("hello")
    for words, told in (
        ([str(tmp_path / "empty")], "no file of a checkpoint's kind there (but 1 .txt)"),
        ([str(tmp_path / "nowhere")], "there is nothing"),
        ([], "no SOURCE is named"),
        ([str(tmp_path / "*.pt")], "matches nothing"),
        (["--git", str(tmp_path)], "--git REPO --path PATTERN: belong together"),
        ([f"{tmp_path}/empty/.."], "lies in"),
        ([str(tmp_path / "empty"), "--pattern", "{modell}"], "expected {model}, {epoch}, {step} or {*}"),
    ):
        assert main(["import", *words, "--out", str(tmp_path / "run"), *INLINE]) == 2
        err = capsys.readouterr().err
        assert told in err
        assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_an_import_goes_on_where_it_was_ended(tree, tmp_path, capsys):
    out = tmp_path / "run"
    words = [str(tree), "--out", str(out)]
    imported(*words)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for lost in ("manifest.json", "models.parquet", "import.json"):
        (out / lost).unlink()
    assert main(["import", *words, *INLINE]) == 2
    assert "already holds this run; go on with it by --resume" in capsys.readouterr().err
    times = {path: path.stat().st_mtime_ns for path in (out / "checkpoints").iterdir()}
    imported(*words, "--resume")
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in (out / "checkpoints").iterdir()} == times
    (tree / "experiment/NN_tune_trainable_00000/checkpoint_000000/checkpoints").unlink()
    assert main(["import", *words, "--resume", *INLINE]) == 2
    assert "holds a run of another configuration (import.files: 24 there, 23 here" in capsys.readouterr().err


def test_identical_files_are_named(tree, tmp_path):
    trial = tree / "experiment/NN_tune_trainable_00000"
    shutil.copytree(trial / "checkpoint_000003", trial / "checkpoint_000009")
    imported(str(tree), "--out", str(tmp_path / "run"))
    same = account(tmp_path / "run")["identical"]
    assert same == {"count": 1, "listed": [[f"{trial}/checkpoint_{at:06d}/checkpoints" for at in (3, 9)]]}


def test_what_several_imports_claim_is_held_against_their_weights_together(zoo, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = zoo.weights([0, 1]).reshape(2, 4, -1)
    weights[:, 2] = weights[::-1, 2]  # each has a checkpoint of the other
    for name, values in zip(("a", "b"), weights, strict=True):
        (tmp_path / name).mkdir()
        for epoch, each in enumerate(values):
            torch.save(state(zoo, each), tmp_path / name / f"net_epoch{epoch}.pt")
        imported(name, "--out", f"run-{name}")
    assert main(["analyze", "run-a", "run-b", "--out", "both", *INLINE]) == 0
    assert re.search(r"models as their names say +0 of 2", capsys.readouterr().out)
    part = tmp_path / "both/analysis/default/d-1210"
    found = pq.read_table(part / "claims.parquet").to_pylist()
    assert [(row["run"], row["model_id"], row["name"], row["finding"]) for row in found] == [
        (Zoo("run-a").key, 0, "run-a/a", "2 is of run-b/b"),
        (Zoo("run-b").key, 0, "run-b/b", "2 is of run-a/a"),
    ]
    assert "2 is of run-b/b" in (part / "report.html").read_text()
    assert main(["analyze", "run-a", str(zoo.root), "--out", "mixed", *INLINE]) == 0
    mixed = pq.read_table(tmp_path / "mixed/analysis/default/d-1210/claims.parquet").to_pylist()
    assert [row["name"] for row in mixed] == ["run-a/a"], "a run that was trained claims nothing"


def test_a_folder_in_which_a_run_restarts_is_found_out(zoo, tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    weights, rows = zoo.weights(), zoo.checkpoints().to_pylist()
    for row, values in zip(rows, weights, strict=True):
        if row["model_id"] in (0, 1):
            torch.save(state(zoo, values), folder / f"lenet_epoch{row['epoch'] + 4 * row['model_id']}.pt")
    out = str(tmp_path / "run")
    assert imported(str(folder), "--out", out).models["name"].to_pylist() == ["lenet"]
    assert main(["analyze", out, *INLINE]) == 0
    (claim,) = pq.read_table(f"{out}/analysis/default/claims.parquet").to_pylist()
    assert not claim["agrees"]
    assert claim["finding"].startswith("0 to 3 and 4 to 7 are 2 runs: it restarts at 4")
    assert re.search(r"models as their names say +0 of 1", capsys.readouterr().out)
    assert main(["report", out]) == 0
    assert "are 2 runs: it restarts at 4" in (tmp_path / "run/report.html").read_text()


def test_a_pattern_names_models_and_epochs(zoo, tmp_path):
    folder = tmp_path / "mine"
    for row, values in zip(zoo.checkpoints().to_pylist(), zoo.weights(), strict=True):
        place = folder / str(row["epoch"]) / f"of-{row['model_id']}.pth"
        place.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state(zoo, values), place)
    found = imported(str(folder), "--out", str(tmp_path / "run"), "--pattern", "{epoch}/of-{model}.pth")
    np.testing.assert_array_equal(found.weights(), zoo.weights())
    assert found.models["name"].to_pylist() == [str(at) for at in range(6)]


def test_folders_of_hugging_faces_trainer_are_read_with_their_indices(zoo, tmp_path):
    folder = tmp_path / "trainer"
    history: list[dict] = []
    for row, values in zip(zoo.checkpoints([3]).to_pylist(), zoo.weights([3]), strict=True):
        place = folder / f"checkpoint-{100 * row['epoch']}"
        place.mkdir(parents=True)
        tensors = {name: tensor.numpy() for name, tensor in state(zoo, values).items()}
        files = {name: f"model-{at + 1:05d}-of-00004.safetensors" for at, name in enumerate(tensors)}
        for name, file in files.items():
            save_file({name: tensors[name]}, place / file)
        (place / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
        torch.save({"state": {}}, place / "optimizer.pt")
        step = 100 * row["epoch"]
        history += [
            {"epoch": row["epoch"] - 0.5, "loss": 9.0, "learning_rate": 5e-05, "step": step - 50},
            {"epoch": float(row["epoch"]), "loss": row["train_loss"], "grad_norm": 1.5, "step": step},
            {"epoch": float(row["epoch"]), "eval_loss": row["test_loss"], "eval_accuracy": 0.5, "step": step},
        ]
        told = {"global_step": step, "num_train_epochs": 3, "train_batch_size": 8, "log_history": history}
        (place / "trainer_state.json").write_text(json.dumps(told))
    found = imported(str(folder), "--out", str(tmp_path / "run"))
    np.testing.assert_array_equal(found.weights(), zoo.weights([3]))
    assert found.checkpoints()["step"].to_pylist() == [0, 100, 200, 300]
    assert set(found.checkpoints()["epoch"].to_pylist()) == {-1}
    assert found.checkpoints()["train_loss"].equals(zoo.checkpoints([3])["train_loss"])
    read = found.checkpoints(columns=["validation_loss", "validation_accuracy"])
    assert read["validation_loss"].to_pylist() == zoo.checkpoints([3])["test_loss"].to_pylist()
    assert read["validation_accuracy"].to_pylist() == [0.5] * 4
    learned = ZooDataset(found.root, columns=["validation_loss", "file"])[1][1]
    assert learned["validation_loss"].item() == read["validation_loss"][1].as_py()
    assert learned["file"].endswith("trainer/checkpoint-100/model.safetensors.index.json")
    assert found.models.select(["batch_size", "epochs"]).to_pylist() == [{"batch_size": 8, "epochs": 3}]
    assert main(["analyze", str(tmp_path / "run"), *INLINE]) == 0
    summary = json.loads((tmp_path / "run/analysis/default/summary.json").read_text())
    assert summary["claims"] == {"models": 1, "agree": 1}


@pytest.mark.parametrize("format", ["model-zoos", "state-dict", "safetensors", "hub"])
def test_what_was_exported_comes_back(format, small_run, zoo, tmp_path):
    place = tmp_path / "exported"
    assert main(["export", str(small_run), "--to", str(place), "--format", format, *INLINE]) == 0
    found = imported(str(place), "--out", str(tmp_path / "run"))
    assert found.layout == zoo.layout
    np.testing.assert_array_equal(found.weights(), zoo.weights())
    there, here = found.checkpoints(), zoo.checkpoints()
    for name in ("model_id", "epoch", *(["step"] if format != "state-dict" else [])):
        assert there[name].equals(here[name]), name
    if format in ("model-zoos", "hub"):
        for name in ("step", *METRIC_NAMES):
            assert there[name].equals(here[name]), name
        kept = [name for name in zoo.models.column_names if name in found.models.column_names]
        assert {"seed", "learning_rate", "optimizer", "data_fraction", "parent_model_id", "initialisation"} < set(kept)
        for name in kept:
            if name not in ("model_key", "group"):  # of the import's own
                assert found.models[name].to_pylist() == zoo.models[name].to_pylist(), name
        hidden = "model::h_dim" if format == "model-zoos" else "hidden"
        assert found.models[hidden].to_pylist() == zoo.models["hidden"].to_pylist()


def test_a_trainers_state_hides_nothing_of_the_trial_above_it(zoo, tmp_path):
    trial = tmp_path / "tree" / "t1"
    for epoch, values in enumerate(zoo.weights([0])):
        folder = trial / f"checkpoint_{epoch:06d}"
        folder.mkdir(parents=True)
        torch.save(state(zoo, values), folder / "model.pt")
        history = [{"step": 10 * at, "eval_loss": at / 4} for at in range(epoch + 1)]
        (folder / "trainer_state.json").write_text(json.dumps({"train_batch_size": 8, "log_history": history}))
    (trial / "params.json").write_text(json.dumps({"optim::lr": 0.5, "seed": 7, "training::batchsize": 16}))
    lines = [{"training_iteration": at, "test_loss": at / 2, "step": 10 * at} for at in range(4)]
    (trial / "result.json").write_text("\n".join(map(json.dumps, lines)))
    found = imported(str(tmp_path / "tree"), "--out", str(tmp_path / "run"))
    assert found.checkpoints()["test_loss"].to_pylist() == [0, 0.5, 1, 1.5]
    assert found.checkpoints()["step"].to_pylist() == [0, 10, 20, 30]
    assert found.models.select(["learning_rate", "seed", "batch_size"]).to_pylist() == [
        {"learning_rate": 0.5, "seed": 7, "batch_size": 16}
    ]
    (trial / "checkpoint_000003" / "trainer_state.json").write_text("{")
    (trial / "params.json").write_text("[]")
    imported(str(tmp_path / "tree"), "--out", str(tmp_path / "run"), "--overwrite")
    troubles = account(tmp_path / "run")["troubles"]["listed"]
    assert [trouble.partition(": ")[0] for trouble in troubles] == [
        f"{tmp_path}/tree/t1/checkpoint_000003/trainer_state.json", f"{tmp_path}/tree/t1/params.json",
    ]  # fmt: skip


def test_torchs_files_that_are_called_tar_are_read_and_other_tars_passed_over(zoo, tmp_path):
    (tmp_path / "mine").mkdir()
    for epoch, values in enumerate(zoo.weights([0])):
        torch.save({"epoch": epoch, "state_dict": state(zoo, values)}, tmp_path / "mine" / f"net_{epoch}.pth.tar")
    for name in ("data.tar", "optimizer.pth.tar", "x.zip.tar"):
        (tmp_path / "mine" / name).write_bytes(b"none")
    found = imported(str(tmp_path / "mine"), "--out", str(tmp_path / "run"))
    assert found.checkpoints()["epoch"].to_pylist() == [0, 1, 2, 3]
    assert account(tmp_path / "run")["passed_over"] == {".tar": 3}


def test_what_lightning_logs_above_its_checkpoints_is_theirs(zoo, tmp_path, capsys):
    folder = tmp_path / "lightning_logs" / "version_0"
    (folder / "checkpoints").mkdir(parents=True)
    for epoch, values in enumerate(zoo.weights([0])):
        tensors = {f"network.{name}": tensor for name, tensor in state(zoo, values).items()}
        content = {"state_dict": tensors, "epoch": epoch, "global_step": 23 * (epoch + 1)}
        torch.save(content, folder / "checkpoints" / f"epoch={epoch}-step={23 * (epoch + 1)}.ckpt")
    (folder / "hparams.yaml").write_text("lr: 0.25\nbatch_size: 64\n")
    rows = "".join(f"{epoch},{23 * epoch + 22},,{epoch / 8}\n" for epoch in range(4))
    (folder / "metrics.csv").write_text(f"epoch,step,train_loss,val_loss\n{rows}")
    found = imported(str(tmp_path / "lightning_logs"), "--out", str(tmp_path / "run"))
    read = found.checkpoints(columns=["epoch", "step", "train_loss", "validation_loss"]).to_pylist()
    assert [tuple(row.values()) for row in read] == [(at, 23 * (at + 1), None, at / 8) for at in range(4)]
    assert found.models.select(["name", "learning_rate", "batch_size"]).to_pylist() == [
        {"name": "version_0/checkpoints", "learning_rate": 0.25, "batch_size": 64}
    ]
    assert "zoo:" not in capsys.readouterr().err


def equal_but_for_files(one: Zoo, other: Zoo) -> None:
    np.testing.assert_array_equal(one.weights(), other.weights())
    assert one.checkpoints().drop_columns("file").equals(other.checkpoints().drop_columns("file"))


@pytest.mark.parametrize("format", ["model-zoos", "hub"])
def test_what_was_imported_goes_out_and_comes_back_with_its_validation(format, tree, tmp_path):
    found = imported(str(tree), "--out", str(tmp_path / "run"))
    assert found.checkpoints()["validation_loss"].to_pylist() == [0.5] * 24
    assert main(["export", found.root, "--to", str(tmp_path / "out"), "--format", format, *INLINE]) == 0
    back = imported(str(tmp_path / "out"), "--out", str(tmp_path / "back"))
    equal_but_for_files(back, found)
    assert {"learning_rate", "seed"} < {*back.models.column_names}
    assert not {name for name in back.models.column_names if "validation" in name}


@pytest.mark.parametrize("format", ["model-zoos", "hub"])
@pytest.mark.parametrize("number", [0, 2])
def test_a_validation_that_one_shard_alone_has_goes_out(format, number, small_run, tmp_path):
    """As somebody may have written a run."""
    root = shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("analysis"))
    manifest = json.loads((root / "manifest.json").read_text())
    path = root / manifest["shards"][number]["shard"]
    table = pq.read_table(path)
    pq.write_table(table.append_column("validation_loss", pa.array(np.arange(len(table)) / 4)), path)
    data = path.read_bytes()
    manifest["shards"][number] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (root / "manifest.json").write_text(json.dumps(manifest))
    assert main(["export", str(root), "--to", str(tmp_path / "out"), "--format", format, *INLINE]) == 0
    back = imported(str(tmp_path / "out"), "--out", str(tmp_path / "back"))
    assert back.checkpoints()["validation_loss"].equals(Zoo(str(root)).checkpoints()["validation_loss"].cast("float32"))
    assert back.checkpoints()["validation_loss"].null_count == 16


def test_metrics_by_step_go_out_and_come_back(zoo, tmp_path):
    """Of a Trainer, whose epochs no name says, and of a file of which one epoch has several checkpoints."""
    folder = tmp_path / "mine" / "run"
    history = [{"step": step, "loss": step / 8, "eval_loss": step / 16} for step in (1, 2, 3)]
    for step, values in zip((1, 2, 3), zoo.weights([0]), strict=False):
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        torch.save(state(zoo, values), folder / f"checkpoint-{step}" / "pytorch_model.bin")
    (folder / "checkpoint-3" / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    for step, values in zip((4, 5), zoo.weights([1]), strict=False):
        torch.save(state(zoo, values), tmp_path / "mine" / f"other-epoch=1-step={step}.pt")
    lines = [{"step": 4, "train_loss": 0.25}, {"step": 5, "train_loss": 0.75}]
    (tmp_path / "mine" / "result.json").write_text("\n".join(map(json.dumps, lines)))
    found = imported(str(tmp_path / "mine"), "--out", str(tmp_path / "first"))
    rows = found.checkpoints(columns=["epoch", "step", "train_loss", "validation_loss"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (1, 4, 0.25, None), (1, 5, 0.75, None), (-1, 1, 0.125, 0.0625), (-1, 2, 0.25, 0.125), (-1, 3, 0.375, 0.1875),
    ]  # fmt: skip
    assert main(["export", found.root, "--to", str(tmp_path / "out"), "--format", "hub", *INLINE]) == 0
    equal_but_for_files(imported(str(tmp_path / "out"), "--out", str(tmp_path / "back")), found)


def test_checkpoints_of_steps_are_told_apart_by_them(zoo, tmp_path, capsys):
    """Folders of Hugging Face's Trainer."""
    weights = zoo.weights()[:3]
    for step, each in zip((500, 1_000, 1_500), weights, strict=True):
        folder = tmp_path / "trainer" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        save_file(zoo.layout.unflatten(each), folder / "model.safetensors")
    run = str(tmp_path / "run")
    found = imported(str(tmp_path / "trainer"), "--out", run)
    assert found.checkpoints()["step"].to_pylist() == [500, 1_000, 1_500]
    by_step = found.load_state_dict(0, step=1_000)
    assert {name: tensor.numpy().tolist() for name, tensor in by_step.items()} == {
        name: values.tolist() for name, values in zoo.layout.unflatten(weights[1]).items()
    }
    last = found.load_state_dict(0, "last")
    assert all(torch.equal(tensor, last[name]) for name, tensor in found.load_state_dict(0, -1, 1_500).items())
    with pytest.raises(StoreError, match=r"has 3 checkpoints of model 0 after epoch -1, of the steps 500, 1000, 1500;"):
        found.load_state_dict(0, -1)
    with pytest.raises(StoreError, match=r"has no checkpoint of model 0 after step 7$"):
        found.load_state_dict(0, step=7)
    with pytest.raises(ConfigError, match="name an epoch or a step"):
        found.load_state_dict(0)
    assert len(ZooDataset(run, epochs="last")) == 1
    assert main(["export", run, "--to", str(tmp_path / "out"), "--format", "safetensors", *INLINE]) == 0
    assert sorted(path.name for path in (tmp_path / "out" / "model-00000").iterdir()) == [
        f"step-{step:06d}.safetensors" for step in (500, 1_000, 1_500)
    ]
    back = imported(str(tmp_path / "out"), "--out", str(tmp_path / "back"))
    assert back.checkpoints()["step"].to_pylist() == [500, 1_000, 1_500]
    np.testing.assert_array_equal(back.weights(), found.weights())
    assert main(["export", run, "--to", str(tmp_path / "tree"), *EXPORTED]) == 2
    assert "some checkpoints are of a model or epoch that no name says (-1)" in capsys.readouterr().err


def test_copies_beside_checkpoints_are_of_their_model_and_go_out_with_it(zoo, tmp_path, capsys):
    """As Lightning leaves them: `last.ckpt` has the weights of the last epoch, and says so within."""
    folder = tmp_path / "lightning"
    folder.mkdir()
    for epoch, weights in enumerate(zoo.weights([0])):
        said = {"state_dict": state(zoo, weights), "epoch": epoch, "global_step": 23 * epoch}
        torch.save(said, folder / f"epoch={epoch}-val_loss=0.{9 - epoch}1.ckpt")
    shutil.copy(folder / "epoch=3-val_loss=0.61.ckpt", folder / "last.ckpt")
    found = imported(str(folder), "--out", str(tmp_path / "run"))
    rows = found.checkpoints()
    assert rows["model_id"].to_pylist() == [0] * 5
    assert rows["epoch"].to_pylist() == [0, 1, 2, 3, 3]
    assert rows["step"].to_pylist() == [0, 23, 46, 69, 69]
    assert main(["analyze", str(tmp_path / "run"), *INLINE]) == 0
    assert re.search(r"models as their names say +1 of 1", capsys.readouterr().out)
    assert (
        main(["export", str(tmp_path / "run"), "--to", str(tmp_path / "out"), "--format", "state-dict", *INLINE]) == 0
    )
    names = [f"epoch-{epoch:04d}.pt" for epoch in range(4)]
    assert sorted(path.name for path in (tmp_path / "out" / "model-00000").iterdir()) == names
    one = ["export", str(tmp_path / "run"), "--to", str(tmp_path / "x.pt"), "--epochs"]
    assert main([*one, "last"]) == main([*one, "3", "--overwrite"]) == 0
    assert len(ZooDataset(str(tmp_path / "run"), epochs="last")) == 1
    state_dict = found.load_state_dict(0, "last")
    assert torch.equal(state_dict["fc2.bias"], torch.load(tmp_path / "x.pt", weights_only=True)["fc2.bias"])
    assert main(["export", str(tmp_path / "run"), "--to", str(tmp_path / "tree"), *EXPORTED]) == 0
    (lines,) = (tmp_path / "tree").glob("*/result.json")
    assert len(lines.read_text().splitlines()) == 4
    last = torch.load(folder / "last.ckpt", weights_only=True)
    last["state_dict"]["fc2.bias"] += 1
    torch.save(last, folder / "last.ckpt")
    found = imported(str(folder), "--out", str(tmp_path / "other"))
    with pytest.raises(
        StoreError, match="has 2 checkpoints of model 0 after epoch 3 and step 69, with different weights"
    ):
        found.load_state_dict(0, 3)
    again = ["export", str(tmp_path / "other"), "--to", str(tmp_path / "two"), "--format", "state-dict", *INLINE]
    assert main(again) == 2
    assert "has 2 checkpoints of model 0 after epoch 3 and step 69, with different weights" in capsys.readouterr().err
    assert not (tmp_path / "two").exists()


def test_a_dataset_of_the_hub_says_what_it_cannot_know_and_what_is_no_dataset(zoo, tmp_path, capsys):
    files = tmp_path / "files"
    files.mkdir()
    for step, weights in zip((100, 200, 300), zoo.weights(), strict=False):
        said = {"state_dict": {"file": torch.from_numpy(weights.copy())}, "epoch": 0, "global_step": step}
        torch.save(said, files / f"epoch=0-step={step}.ckpt")
    run, out = tmp_path / "run", tmp_path / "out"
    found = imported(str(files), "--out", str(run))
    assert found.checkpoints()["epoch"].to_pylist() == [0, 0, 0]
    assert main(["export", str(run), "--to", str(out), "--format", "hub", *INLINE]) == 0
    torch.save({"file": torch.zeros(1_210)}, out / "extra_epoch1.pt")
    back = imported(str(out), "--out", str(tmp_path / "back"))
    rows = back.checkpoints().to_pylist()
    assert [(row["model_id"], row["epoch"], row["step"]) for row in rows] == [
        (0, 1, -1), (1, 0, 100), (1, 0, 200), (1, 0, 300),
    ]  # fmt: skip
    np.testing.assert_array_equal(back.weights([1]), found.weights())
    assert account(tmp_path / "back")["passed_over"] == {".json": 1, ".md": 1}
    (data,) = (out / "data").iterdir()
    table = pq.read_table(data)
    pq.write_table(table.set_column(0, "model_id", table["model_id"].cast("string")), data)
    assert main(["import", str(out), "--out", str(tmp_path / "no"), *INLINE]) == 2
    assert f"{data}: has no column model_id of int32; export it again" in capsys.readouterr().err
    data.write_bytes(b"PAR1")
    imported(str(out), "--out", str(tmp_path / "extra"))  # no dataset any more, but a folder with a checkpoint
    assert account(tmp_path / "extra")["passed_over"] == {".json": 1, ".md": 1, ".parquet": 1}


def test_what_lies_in_a_bucket_is_imported_into_a_bucket(tree, zoo):
    memory = fsspec.filesystem("memory")
    memory.put(str(tree), "/importing/tree", recursive=True)
    try:
        found = imported("memory://importing/tree", "--out", "memory://importing/run")
        np.testing.assert_array_equal(found.weights(), zoo.weights())
        assert found.models["learning_rate"].equals(zoo.models["learning_rate"])
        one = "memory://importing/tree/experiment/NN_tune_trainable_00002/checkpoint_000001/checkpoints"
        alone = imported(one, "--out", "memory://importing/one")
        np.testing.assert_array_equal(alone.weights(), zoo.weights([2], [1]))
        assert account_at(memory, "/importing/one/import.json")["imported"] == 1
    finally:
        memory.rm("/importing", recursive=True)


def account_at(filesystem, path: str) -> dict:
    return json.loads(filesystem.cat_file(path))


def test_runs_of_files_with_gaps_and_without_names_are_whole(zoo, tmp_path, capsys):
    folder = tmp_path / "mine"
    for model, epochs in ((0, (0, 2, 3)), (1, (1, 3))):
        for epoch in epochs:
            place = folder / f"m{model}" / f"checkpoint_{epoch:06d}"
            place.mkdir(parents=True)
            torch.save(state(zoo, zoo.weights([model], [epoch])[0]), place / "checkpoints")
    torch.save(state(zoo, zoo.weights([2], [0])[0]), folder / "best.pt")
    for number, words in enumerate(([], ["--pattern", "{*}"])):
        imported(str(folder), "--out", str(tmp_path / f"run{number}"), *words)
        assert main(["verify", str(tmp_path / f"run{number}")]) == 0
        assert main(["analyze", str(tmp_path / f"run{number}"), *INLINE]) == 0
        code = main(["export", str(tmp_path / f"run{number}"), "--to", str(tmp_path / f"out{number}"), *EXPORTED])
        assert code == 2
        assert "of a model or epoch that no name says (-1)" in capsys.readouterr().err


def test_files_that_were_changed_are_not_gone_on_with(tree, zoo, tmp_path, capsys):
    words = [str(tree), "--out", str(tmp_path / "run")]
    imported(*words)
    file = tree / "experiment/NN_tune_trainable_00000/checkpoint_000000/checkpoints"
    torch.save(state(zoo, zoo.weights([5], [3])[0]), file)
    assert main(["import", *words, "--resume", *INLINE]) == 2
    assert "import.names" in capsys.readouterr().err


def test_where_no_value_can_be_taken_nothing_is_imported(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    torch.save({"weight": torch.full((3,), 1e300, dtype=torch.float64)}, tmp_path / "mine" / "a.pt")
    assert main(["import", str(tmp_path / "mine"), "--out", str(tmp_path / "run"), *INLINE]) == 2
    assert "none of 1 file can be imported" in capsys.readouterr().err
    assert not (tmp_path / "run/manifest.json").exists()


def test_metrics_join_also_where_a_model_has_several_shards(tree, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo_pipeline.importing.plan.GROUP_ROWS", 1)
    for trial in (tree / "experiment").iterdir():
        lines = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
        shifted = [json.dumps({**line, "training_iteration": line["training_iteration"] + 1}) for line in lines]
        (trial / "result.json").write_text("\n".join(shifted) + "\n")
    found = imported(str(tree), "--out", str(tmp_path / "run"))
    assert len(list((tmp_path / "run/checkpoints").iterdir())) == 24
    there = {(row["model_id"], row["epoch"]): row["train_loss"] for row in found.checkpoints().to_pylist()}
    for at, trial in enumerate(sorted((tree / "experiment").iterdir())):
        for line in map(json.loads, (trial / "result.json").read_text().splitlines()):
            assert there[at, line["training_iteration"] - 1] == np.float32(line["train_loss"])


def test_names_that_are_no_text_do_no_harm(tree, zoo, tmp_path):
    odd = os.fsencode(tree / "experiment") + b"/odd\xff_1.pt"
    with open(odd, "wb") as file:  # noqa: PTH123  (a name that no text stands for)
        torch.save(state(zoo, zoo.weights([0], [0])[0]), file)
    (tree / "experiment/NN_tune_trainable_00000/params.json").write_text('{"\\ud800": 1, "seed": 3}')
    found = imported(str(tree), "--out", str(tmp_path / "run"))
    assert len(found.checkpoints()) == 25
    assert any("odd\\udcff" in name for name in found.models["name"].to_pylist())
