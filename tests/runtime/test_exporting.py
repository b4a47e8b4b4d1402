"""Exports by both executors, and where the disk or the run fails."""

import errno
import os
import shutil
import uuid
from pathlib import Path

import pytest
import torch

from zoo_pipeline.config import Resources
from zoo_pipeline.errors import StoreError
from zoo_pipeline.exporting.selection import select
from zoo_pipeline.exporting.target import Target
from zoo_pipeline.runtime.exporting import checked_models, contents_of, export
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.runtime.opening import open_executor
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.zoo import Zoo

FORMATS = ("state-dict", "safetensors", "hub", "model-zoos")


@pytest.fixture(scope="module")
def ray_executor():
    with open_executor("ray", Resources(), "local") as executor:
        yield executor


def export_all(run, out, name, executor, **options):
    zoo = Zoo(str(run))
    return export(zoo, select(contents_of(zoo)), Target(str(out), None, name), executor, models=zoo.models, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", FORMATS)
def test_both_executors_write_the_same_files(name, small_run, tmp_path, ray_executor):
    reports = [
        export_all(small_run, tmp_path / executor.name, name, executor)
        for executor in (ray_executor, InlineExecutor(Resources()))
    ]
    by_ray, inline = content(tmp_path / "ray"), content(tmp_path / "inline")
    assert by_ray == inline
    files = {"state-dict": 24, "safetensors": 24, "hub": 4, "model-zoos": 24 + 3 * 6 + 1}[name]
    for report in reports:
        assert (report.checkpoints, report.models, report.files) == (24, 6, files)
        assert report.written_bytes == sum(len(data) for path, data in inline.items() if path != "export.json")
    assert len(inline) == files + 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_failing_disk_leaves_nothing_half_written(name, small_run, tmp_path, monkeypatch):
    export_all(small_run, tmp_path / "whole", name, InlineExecutor(Resources()))
    whole, real, synced = content(tmp_path / "whole"), os.fsync, []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 6:  # a file is synced, and then its folder
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        export_all(small_run, tmp_path / "part", name, InlineExecutor(Resources()))
    monkeypatch.undo()
    part = content(tmp_path / "part")
    assert 0 < len(part) < len(whole)
    assert b'"complete": false' in part.pop("export.json")
    assert part.items() <= whole.items()
    export_all(small_run, tmp_path / "part", name, InlineExecutor(Resources()), overwrite=True)
    assert content(tmp_path / "part") == whole


@pytest.mark.parametrize("name", FORMATS)
def test_an_object_store_gets_the_same_files(name, small_run, tmp_path):
    place = f"memory://{uuid.uuid4().hex}/out"
    for out in (place, tmp_path / "out"):
        export_all(small_run, out, name, InlineExecutor(Resources()))
    files = Files(place)
    assert {path: files.read(path) for path in files.below()} == content(tmp_path / "out")


def test_models_without_a_number_are_told(small_run):
    models = Zoo(str(small_run)).models
    assert checked_models(models, "runs/x") is models
    for wrong, told in (
        (models.drop_columns("model_id"), "model_id is missing, expected int32"),
        (models.set_column(0, "model_id", models["model_id"].cast("int64")), "model_id is int64 with 0 nulls"),
    ):
        with pytest.raises(StoreError, match=rf"^runs/x: models\.parquet: {told}"):
            checked_models(wrong, "runs/x")


def test_a_damaged_shard_is_told_and_no_part_of_a_file_is_left(small_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    shard = run / "checkpoints" / "group-00001.parquet"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=r"group-00001\.parquet"):
        export_all(run, tmp_path / "out", "hub", InlineExecutor(Resources()))
    assert {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()} <= {"export.json"}


def test_an_incomplete_run_is_exported_as_far_as_it_goes(small_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    for name in ("manifest.json", "models.parquet", "checkpoints/group-00001.parquet"):
        (run / name).unlink()
    zoo = Zoo(str(run))
    target = Target(str(tmp_path / "out"), None, "state-dict")
    report = export(zoo, select(contents_of(zoo), None, "last"), target, InlineExecutor(Resources()), models=None)
    assert (report.checkpoints, report.models) == (4, 4)
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.pt"))
    assert names == [f"model-{model:05d}/epoch-0003.pt" for model in (0, 1, 4, 5)]
    state = torch.load(tmp_path / "out" / names[2], weights_only=True)
    assert (
        torch.cat([tensor.flatten() for tensor in state.values()]).numpy().tobytes() == zoo.weights([4], [3]).tobytes()
    )
