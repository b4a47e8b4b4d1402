import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.config import Resources
from zoo_pipeline.data import load_dataset
from zoo_pipeline.errors import DataError, StoreError
from zoo_pipeline.runtime import group_task, training
from zoo_pipeline.runtime.engine_choice import overruled
from zoo_pipeline.runtime.training import train_zoo
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.shards import contents_sha256, read_footer
from zoo_pipeline.store.survey import survey
from zoo_pipeline.zoo import Zoo

ENGINE = {"threads": 1, "stack": 2, "capture": False}


def contents(root: Path) -> dict[str, str]:
    return {
        path.name: contents_sha256(pq.read_table(path)) for path in sorted((root / "checkpoints").glob("*.parquet"))
    }


def test_a_run_ends_with_shards_models_and_a_manifest_that_describes_them(train_small):
    import hashlib

    root = train_small()
    assert sorted(path.name for path in root.iterdir()) == [
        "checkpoints", "engine.json", "manifest.json", "models.parquet", "spec.json",
    ]  # fmt: skip
    manifest = json.loads((root / "manifest.json").read_text())
    assert manifest["checkpoints"] == 24
    for line in [*manifest["shards"], {"shard": "models.parquet", **manifest["models"]}]:
        data = (root / line["shard"]).read_bytes()
        assert line["bytes"] == len(data)
        assert line["sha256"] == hashlib.sha256(data).hexdigest()
        assert line["rows"] == pq.read_metadata(root / line["shard"]).num_rows


def test_training_again_gives_the_same_contents(train_small):
    assert contents(train_small("a")) == contents(train_small("b"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threads": "1"}, "expected positive numbers as threads"),
        ({"stack": 0}, "expected positive numbers as threads"),
        ({"capture": None}, "true or false as capture"),
        ({"cores": 1}, "engine.json: has no threads, stack, capture, which docs/format.md asks for"),
    ],
)
def test_an_engine_that_says_no_engine_ends_the_run_with_a_line(prepared, tmp_path, changes, message):
    made, dataset, run, executor = prepared
    engine = changes if "cores" in changes else {**ENGINE, **changes}
    (tmp_path / "run" / "engine.json").write_text(json.dumps(engine))
    with pytest.raises(StoreError, match=message):
        train_zoo(made, dataset, run, executor)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_resume_trains_only_what_is_missing(train_small):
    root = train_small()
    before = contents(root)
    kept = {path.name: path.stat().st_mtime_ns for path in (root / "checkpoints").iterdir()}
    for name in ("manifest.json", "models.parquet", "checkpoints/group-00001.parquet"):
        (root / name).unlink()
    train_small(resume=True)
    assert contents(root) == before
    now = {path.name: path.stat().st_mtime_ns for path in (root / "checkpoints").iterdir()}
    assert [name for name in now if now[name] != kept[name]] == ["group-00001.parquet"]
    assert Zoo(str(root)).complete
    (root / "engine.json").unlink()
    train_small(resume=True)  # a complete run has nothing to do, and no engine to choose for it
    assert not (root / "engine.json").exists()
    assert {path.name: path.stat().st_mtime_ns for path in (root / "checkpoints").iterdir()} == now


def test_resume_refuses_a_damaged_or_foreign_shard(train_small):
    root, other = train_small(), train_small("other", "zoo.training.learning_rate=0.5")
    (root / "manifest.json").unlink()
    shard = root / "checkpoints/group-00001.parquet"
    good = shard.read_bytes()
    shard.write_bytes((other / "checkpoints/group-00001.parquet").read_bytes())
    with pytest.raises(StoreError, match="is not this run's shard"):
        train_small(resume=True)
    shard.write_bytes(good[:-5])
    with pytest.raises(StoreError, match="damaged or not Parquet"):
        train_small(resume=True)
    assert not (root / "manifest.json").exists()


def test_a_shard_that_changed_is_not_taken_into_the_manifest(train_small):
    root = train_small()
    (root / "manifest.json").unlink()
    name = "checkpoints/group-00001.parquet"
    whole = (root / name).read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    told = []
    for at in range(footer, len(whole), 41):
        (root / name).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            read_footer(Files(str(root)), name)
        except StoreError:
            continue  # seen by Parquet
        with pytest.raises(StoreError, match=r"group-00001\.parquet: ") as caught:
            train_small(resume=True)
        told.append("its seal is of other bytes: they have changed" in str(caught.value))
        assert not (root / "manifest.json").exists()
    assert sum(told) > 10


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("resources.stack=1", "resources.stack 2 (not 1)"),
        ("resources.threads=3", "resources.threads 1 (not 3)"),
        ("resources={stack: 1, threads: 3, capture: true}", "resources.threads 1 (not 3), resources.stack 2 (not 1)"),
        ("resources.stack=2", None),
        ("resources.stack=99", None),  # of groups of two, both train all at once
        ("resources.capture=true", None),  # means nothing without a GPU
        ("resources={}", None),
    ],
)
def test_a_setting_that_engine_json_overrules_is_told(train_small, capsys, setting, told):
    root = train_small()
    (root / "manifest.json").unlink()
    (root / "checkpoints/group-00001.parquet").unlink()
    engine = (root / "engine.json").read_bytes()
    assert "engine.json" not in capsys.readouterr().err
    train_small("run", setting, resume=True)
    lines = [line for line in capsys.readouterr().err.splitlines() if "engine.json" in line]
    assert (
        lines
        == [
            f"training: goes on with {told}, as engine.json decides for the whole run since its start; to compute it "
            f"otherwise, train into another directory, or start again by --overwrite"
        ][: told is not None]
    )
    assert (root / "engine.json").read_bytes() == engine


@pytest.mark.parametrize(("capture", "told"), [(True, "resources.capture false (not true)"), (False, None)])
def test_a_setting_of_a_gpu_that_engine_json_overrules_is_told(prepared, capture, told):
    made = prepared[0]
    config = made.config.model_copy(update={"resources": Resources(num_gpus=1, capture=capture)})
    line = overruled(replace(made, config=config), {**ENGINE, "calibration": []})
    assert (line is None) == (told is None)
    assert told is None or told in line


def test_one_failing_group_does_not_end_the_others(prepared, monkeypatch, fail_group_of):
    fail_group_of(2, RuntimeError("cosmic ray"))
    report = train_zoo(*prepared)
    assert [failure.group for failure in report.failures] == [1]
    assert report.failures[0].message == "RuntimeError: cosmic ray"
    assert "sometimes" in report.failures[0].traceback
    assert report.trained == 2
    run = prepared[2]
    assert run.manifest is None
    assert run.files.names("checkpoints") == ["group-00000.parquet", "group-00002.parquet"]
    monkeypatch.undo()
    assert train_zoo(*prepared).trained == 1
    assert run.manifest is not None


def test_a_worker_with_other_data_is_refused(prepared):
    made, _, run, executor = prepared
    with pytest.raises(DataError, match="every worker needs the same data"):
        train_zoo(made, load_dataset("tetris"), run, executor)
    assert run.files.names("checkpoints") == []


def test_a_diverged_model_keeps_its_rows_is_flagged_and_left_out(train_small, tmp_path):
    from zoo_pipeline.workflow import analyze

    healthy = train_small("healthy")
    root = train_small(
        "run", "zoo.training.optimizer=sgd", "zoo.training.learning_rate=1e3", "zoo.training.weight_decay=1e3"
    )
    flagged = Zoo(str(root))
    assert flagged.diverged == set(range(6))
    assert set(flagged.models["status"].to_pylist()) == {"diverged"}
    assert flagged.weights().shape == (24, 1_210)
    assert np.isfinite(flagged.weights(epochs=[0])).all()
    assert not np.isfinite(flagged.weights(epochs=[3])).all()
    with pytest.raises(StoreError, match="every model diverged"):
        analyze(str(root), executor="inline")
    assert Zoo(str(healthy)).diverged == set()
    assert set(Zoo(str(healthy)).models["status"].to_pylist()) == {"ok"}


def test_a_manifest_that_describes_other_files_is_not_believed(train_small):
    root = train_small()
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["shards"][1]["sha256"] = "0" * 64
    (root / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match=r"manifest\.json is there and describes other files"):
        train_small(resume=True)


def test_a_late_shard_of_another_configuration_is_never_taken_for_ours(train_small, prepared, monkeypatch):
    """An old attempt may publish after --overwrite: the loser of the race looks whose shard it lost to."""
    other = train_small("other", "zoo.training.learning_rate=0.5")
    made, dataset, run, executor = prepared
    shard = made.groups[1].ranges[0].shard
    real = group_task.publish_range

    def too_late(run, group, *others):
        if group.number == 1:
            run.files.publish(shard, (other / shard).read_bytes())
        return real(run, group, *others)

    monkeypatch.setattr(group_task, "publish_range", too_late)
    for _ in range(2):  # the second time it is there from the start
        with pytest.raises(StoreError, match=r"group-00001\.parquet: is not this run's shard"):
            train_zoo(made, dataset, run, executor)
    assert run.manifest is None


def test_a_worker_that_does_not_see_the_run_says_so_at_once(prepared, tmp_path):
    made, dataset, *_ = prepared
    task = training._task(
        made, RunDirectory(str(tmp_path / "elsewhere")), made.groups[0], ENGINE, dataset.content_sha256
    )
    with pytest.raises(StoreError, match="this worker does not find the run there that it is to train"):
        group_task.train_and_publish(task, dataset, print, device="cpu")
    assert not (tmp_path / "elsewhere").exists()


def test_states_that_cannot_be_removed_do_not_fail_a_complete_run(train_small, monkeypatch):
    real = Files.remove

    def failing(files, name):
        raise StoreError(f"{name}: cannot be removed: Directory not empty")

    root = train_small()
    (root / "manifest.json").unlink()
    (root / "states").mkdir()
    (root / "states" / "left.state").write_bytes(b"of an earlier attempt")
    monkeypatch.setattr(Files, "remove", failing)
    train_small(resume=True)
    assert Zoo(str(root)).complete
    assert survey(RunDirectory(str(root)))["states"] == 1
    monkeypatch.setattr(Files, "remove", real)
    train_small(resume=True)
    assert not (root / "states").exists()


def test_models_left_by_an_interrupted_end_are_written_anew(train_small):
    root = train_small()
    models = (root / "models.parquet").read_bytes()
    (root / "manifest.json").unlink()
    (root / "models.parquet").write_bytes(b"of another attempt")
    train_small(resume=True)
    assert (root / "models.parquet").read_bytes() == models
    (root / "models.parquet").unlink()
    train_small(resume=True)
    assert (root / "models.parquet").read_bytes() == models
