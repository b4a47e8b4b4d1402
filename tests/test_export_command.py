"""`zoo export` as a user calls it."""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

from zoo_pipeline import ExportOptions, export_run
from zoo_pipeline.cli import main
from zoo_pipeline.messages import tell_interrupted
from zoo_pipeline.zoo import Zoo

ROOT = Path(__file__).parents[1]
INLINE = ["--executor", "inline"]


def test_one_checkpoint_becomes_one_file(small_run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    zoo = Zoo(str(small_run))
    assert main(["export", str(small_run), "--to", "x.pt", "--models", "3", "--epochs", "last"]) == 0
    told = capsys.readouterr().out
    assert "exported 1 checkpoint of 1 model: 1 file, " in told
    assert told.endswith(f"export: {tmp_path}/x.pt\n")
    assert main(["export", str(small_run), "--to", "x.safetensors", "--models", "3", "--epochs", "3"]) == 0
    for state in (torch.load("x.pt", weights_only=True), safetensors.torch.load_file("x.safetensors")):
        zoo.load_model(3, 3).load_state_dict(state)
        assert torch.equal(state["fc2.bias"], torch.from_numpy(zoo.weights([3], [3])[0, -10:]))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pt", "x.safetensors"]
    again = ["export", str(small_run), "--to", "x.pt", "--models", "0", "--epochs", "0"]
    before = Path("x.pt").read_bytes()
    assert main(again) == 2
    assert Path("x.pt").read_bytes() == before
    assert main([*again, "--overwrite"]) == 0
    assert torch.equal(
        torch.load("x.pt", weights_only=True)["fc2.bias"], torch.from_numpy(zoo.weights([0], [0])[0, -10:])
    )


def test_a_folder_is_filled_and_replaced_whole(small_run, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["export", str(small_run), "--to", str(out), *INLINE]
    assert main([*command, "--format", "state-dict", "--models", "0,4-5", "--epochs", "0,2-3"]) == 0
    assert "exported 9 checkpoints of 3 models: 9 files, " in capsys.readouterr().out
    assert sorted(path.name for path in out.rglob("*.pt")) == sorted(3 * [f"epoch-{n:04d}.pt" for n in (0, 2, 3)])
    about = json.loads((out / "export.json").read_text())
    assert about == {
        "format": "state-dict", "name": "digits-demo", "spec_hash": Zoo(str(small_run)).spec["spec_hash"],
        "checkpoints": 9, "complete": True,
    }  # fmt: skip
    assert main([*command, "--format", "hub"]) == 2
    assert "already holds an export; name another, or replace it by --overwrite" in capsys.readouterr().err
    assert main([*command, "--format", "hub", "--overwrite", "--license", "CC-BY-4.0"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "data", "export.json"]
    assert "license: cc-by-4.0" in (out / "README.md").read_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--to", "x.pt"],
            "a file holds one checkpoint, got 24; choose one by --models and --epochs, or name a folder",
        ),
        (["--to", "x.pt", "--models", "6"], "--models 6: the run has no model 6; there are 0-5"),
        (["--to", "x.pt", "--models", "0", "--epochs", "9"], "--epochs 9: the run has no epoch 9; there are 0-3"),
        (["--to", "x.pt", "--format", "safetensors"], "the suffix is that of state-dict"),
        (["--to", "x", "--format", "onnx"], "--format onnx: expected one of state-dict, safetensors, hub, model-zoos"),
        (["--to", "x"], "a folder says nothing of the format; add --format"),
        (["--to", ""], "no place is named"),
        (["--to", "taken", "--format", "hub"], "not empty and not an export (holds diary.txt)"),
        (["--to", "taken/diary.txt/x", "--format", "hub"], "diary.txt"),
        (["--to", "x", "--format", "hub", "--license", "my own\nlicense"], "expected an SPDX identifier"),
        (["--to", "x.pt", "--license", "mit"], "stands in a dataset card, which only --format hub has"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(options, told, small_run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "diary.txt").write_text("mine")
    assert main(["export", str(small_run), *options, *INLINE]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["taken", "taken/diary.txt"]


@pytest.mark.parametrize("format", ["hub", "model-zoos"])
def test_an_incomplete_run_has_no_hyperparameters_to_export(format, small_run, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    (run / "manifest.json").unlink()
    assert main(["export", str(run), "--to", str(tmp_path / "out"), "--format", format, *INLINE]) == 2
    assert (
        "incomplete, models.parquet comes last; the command that began the run goes on by --resume"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_who_interrupts_an_export_is_told_how_to_begin_anew(capsys):
    tell_interrupted(["export", "run"])
    assert "the same command with --overwrite does it anew" in capsys.readouterr().err
    tell_interrupted(["analyze", "run"])
    assert "the same command does it anew" in capsys.readouterr().err


def test_a_script_exports_as_the_command_does(small_run, tmp_path):
    done = export_run(
        ExportOptions(str(small_run), str(tmp_path / "out"), "safetensors", epochs="last", executor="inline")
    )
    assert (done.checkpoints, done.files, done.target.place) == (6, 6, str(tmp_path / "out"))


def test_the_commands_of_the_page_run_as_written(small_run, tmp_path, monkeypatch, capsys):
    text = (ROOT / "docs" / "export.md").read_text()
    (tmp_path / "runs").mkdir()
    shutil.copytree(small_run, tmp_path / "runs" / "digits-demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    commands = [line for block in re.findall(r"```bash\n(.*?)```", text, re.S) for line in block.splitlines()]
    assert len(commands) == 5
    for line in commands:
        assert line.startswith("zoo export runs/digits-demo ")
        assert main([*shlex.split(line)[1:], *INLINE]) == 0, line
        assert capsys.readouterr().out.startswith("exported ")
    for snippet in re.findall(r"```python\n(.*?)```", text, re.S):
        exec(compile(snippet, "export.md", "exec"), {})
        for promised in re.findall(r"^print\(.*\)  # (.+)$", snippet, flags=re.MULTILINE):
            assert promised in capsys.readouterr().out.splitlines()
