"""What is told of a training job: failure reports, the pulse, and the log."""

import json
import shutil
import threading
from datetime import UTC, datetime, timedelta

import pytest

from zoo_pipeline.cli import main
from zoo_pipeline.errors import StoreError
from zoo_pipeline.runtime import account, group_task
from zoo_pipeline.store.failures import failures
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.pulse import pulse
from zoo_pipeline.store.rundir import RunDirectory

WORDS = ["train", "digits-demo", "--set", "zoo.population={seeds: 6, group_size: 2}", "--set", "zoo.training.epochs=3"]
WORDS += ["--set", "resources={stack: 2, threads: 1}", "--executor", "inline"]


@pytest.fixture
def failing(monkeypatch, fail_group_of):
    """The second group fails."""
    fail_group_of(2, RuntimeError("cosmic ray\nfrom the left"))
    return monkeypatch


def test_a_failed_group_has_a_report_with_its_traceback_until_it_is_trained(failing, tmp_path, capsys):
    root = tmp_path / "run"
    assert main([*WORDS, "--out", str(root)]) == 1
    told = capsys.readouterr().err
    file = root / "failures" / "group-00001.json"
    assert f"group 1 failed: RuntimeError: cosmic ray (traceback in {file})" in told
    report = json.loads(file.read_text())
    assert (report["group"], report["message"]) == (1, "RuntimeError: cosmic ray")
    assert any("in sometimes" in line for line in report["traceback"])
    assert report["traceback"][-2] == "from the left"
    assert failures(RunDirectory(str(root))) == {1: "RuntimeError: cosmic ray"}
    assert main(["status", str(root), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status["failed"] == {"1": "RuntimeError: cosmic ray"}
    assert status["groups"] == {"all": 3, "done": 2, "damaged": 0}
    assert main(["status", str(root)]) == 0
    assert "group 1: RuntimeError: cosmic ray" in capsys.readouterr().out
    failing.undo()
    assert main([*WORDS, "--out", str(root), "--resume"]) == 0
    assert not (root / "failures").exists()


def test_a_library_that_tells_an_address_tells_no_secret_of_it(fail_group_of, tmp_path, capsys):
    fail_group_of(2, RuntimeError("no answer from s3://me:hunter2@bucket/x.npz"))
    assert main([*WORDS, "--out", str(tmp_path / "run")]) == 1
    told = capsys.readouterr().err + (tmp_path / "run" / "failures" / "group-00001.json").read_text()
    assert "no answer from s3://***@bucket/x.npz" in told
    assert "hunter2" not in told


def test_a_report_that_cannot_be_written_is_told_whole_and_ends_nothing(failing, tmp_path, capsys):
    root, real = tmp_path / "run", Files.replace

    def full(files, name, data):
        if name.startswith("failures/"):
            raise StoreError("no space")
        return real(files, name, data)

    failing.setattr(Files, "replace", full)
    assert main([*WORDS, "--out", str(root)]) == 1
    told = capsys.readouterr().err
    assert "in sometimes" in told
    assert len(list((root / "checkpoints").iterdir())) == 2


def test_a_report_that_is_none_is_said_to_be(tmp_path):
    run = RunDirectory(str(tmp_path))
    (tmp_path / "failures").mkdir()
    for number, content in enumerate(["", "[]", "{}", '{"message": "two\\nlines"}']):
        (tmp_path / "failures" / f"group-0000{number}.json").write_text(content)
    found = failures(run)
    assert all("cannot be read" in found[number] for number in range(3))
    assert found[3] == "two lines"


def test_the_log_has_a_line_of_json_for_whatever_happens_to_a_group(failing, tmp_path):
    root, log = tmp_path / "run", tmp_path / "log.jsonl"
    assert main([*WORDS, "--out", str(root), "--log", str(log)]) == 1
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert lines[0]["event"] == "training begun"
    assert (lines[0]["groups"], lines[0]["missing"]) == (3, 3)
    of_first = [line for line in lines if line.get("group") == 0]
    assert [line["event"] for line in of_first] == ["group begun", "shard published", "group done"]
    assert [line["epoch"] for line in of_first[:2]] == [0, 3]
    assert of_first[0]["attempt"] == of_first[1]["attempt"]
    assert of_first[2]["bytes"] == (root / "checkpoints" / "group-00000.parquet").stat().st_size
    of_second = [line for line in lines if line.get("group") == 1]
    assert [(line["event"], line["level"]) for line in of_second] == [("group failed", "ERROR")]
    assert of_second[0]["error"] == "RuntimeError: cosmic ray"
    report = json.loads((root / "failures" / "group-00001.json").read_text())
    assert report["traceback"][-1] == f"attempt: {of_second[0]['attempt']}"
    assert {line["run"] for line in lines} == {str(root)}
    assert (lines[-1]["event"], lines[-1]["trained"], lines[-1]["failed"]) == ("training ended", 2, 1)
    failing.undo()
    assert main([*WORDS, "--out", str(root), "--log", str(log), "--resume"]) == 0
    more = [json.loads(line) for line in log.read_text().splitlines()][len(lines) :]
    assert [line["event"] for line in more if line.get("group") == 1] == [
        "group begun",
        "shard published",
        "group done",
    ]
    assert more[0]["missing"] == 1


def test_a_log_that_cannot_be_written_is_refused_before_anything(tmp_path, capsys):
    assert main([*WORDS, "--out", str(tmp_path / "run"), "--log", str(tmp_path / "no" / "log")]) == 2
    assert "zoo: --log" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_pulse_beats_while_groups_train_and_is_gone_when_they_are_over(tmp_path, monkeypatch, capsys):
    root, seen, beaten = tmp_path / "run", [], threading.Event()
    real, beat = group_task.GroupTraining.advance, account.beat

    def beating(run, said):
        beat(run, said)
        if said["running"]:
            beaten.set()

    def advance(training):
        real(training)
        if training.epoch == 2 and not seen:
            assert beaten.wait(60)
            seen.append(pulse(RunDirectory(str(root))))
            assert main(["status", str(root)]) == 0

    monkeypatch.setattr(account, "beat", beating)
    monkeypatch.setattr(account, "BEAT_EVERY_S", 0.02)
    monkeypatch.setattr(group_task.GroupTraining, "advance", advance)
    assert main([*WORDS, "--out", str(root)]) == 0
    said = seen[0]
    assert (said["running"], said["failed"], said["lost"]) == ([0], [], False)
    assert said["model_epochs"]["total"] == 18
    told = capsys.readouterr().out
    assert "groups running" in told
    assert "of 18" in told
    assert not (root / "progress.json").exists()
    assert pulse(RunDirectory(str(root))) is None


def test_a_driver_that_was_killed_is_missed(tmp_path, small_run, capsys):
    root = tmp_path / "run"
    shutil.copytree(small_run, root)
    (root / "manifest.json").unlink()
    (root / "checkpoints" / "group-00001.parquet").unlink()
    said = {
        "at": (datetime.now(UTC) - timedelta(hours=2)).isoformat(),
        "started": "2026-01-01T00:00:00+00:00",
        "driver": "here:1",
        "running": [1],
        "failed": [],
        "model_epochs": {"done": 6, "total": 18, "per_s": 0.0},
        "expected_end": None,
    }
    (root / "progress.json").write_text(json.dumps(said))
    assert pulse(RunDirectory(str(root)))["lost"] is True
    assert main(["status", str(root)]) == 0
    assert "nothing heard from here:1" in " ".join(capsys.readouterr().out.split())
    for odd in ("", "[]", "{}", json.dumps({**said, "model_epochs": 3}), json.dumps({**said, "running": ["x"]})):
        (root / "progress.json").write_text(odd)
        assert pulse(RunDirectory(str(root))) is None
