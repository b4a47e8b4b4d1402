"""Of the commands that would make one analysis at the same time, one does; whatever becomes of it, the next can."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline import workflow
from zoo_pipeline.cli import main
from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.store.claim import claimed
from zoo_pipeline.store.filesystem import Files

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from zoo_pipeline.store.claim import claimed
from zoo_pipeline.store.filesystem import Files
with claimed(Files(sys.argv[1]), "default", overwrite=False):
    print("claimed", flush=True)
    time.sleep(600)
"""


def there(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def finish(folder: Path, name: str = "default") -> None:
    """What a command leaves in the end."""
    Files(str(folder)).publish(f"analysis/{name}/summary.json", b"{}")


def test_a_name_is_claimed_by_one_at_a_time_and_others_beside_it(tmp_path):
    files = Files(str(tmp_path / "out"))
    with claimed(files, "default", overwrite=False), claimed(files, "other", overwrite=False):
        for overwrite in (False, True):
            with (
                pytest.raises(StoreError, match=r"out: another command is making the analysis default there; wait"),
                claimed(Files(str(tmp_path / "out")), "default", overwrite=overwrite),
            ):
                pytest.fail("claimed twice")
    with claimed(files, "default", overwrite=False):
        pass


@pytest.mark.parametrize("older", [True, False])
@pytest.mark.parametrize("made", [True, False])
def test_whoever_waits_learns_whether_the_other_made_it(made, older, tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "claimed\n"
        told = []
        if older:
            finish(tmp_path)

        def end() -> None:
            told.append(True)
            if made:
                Files(str(tmp_path)).replace("analysis/default/summary.json", b"new")
            other.kill()

        with claimed(Files(str(tmp_path)), "default", overwrite=True, wait=end) as theirs:
            assert theirs == made
        assert told == [True]
    with claimed(Files(str(tmp_path)), "default", overwrite=True, wait=end) as theirs:
        assert not theirs, "it was there before this one, and is old"
    assert told == [True]


def test_claims_leave_nothing_but_what_was_written(tmp_path):
    deep = tmp_path / "a" / "b"
    with claimed(Files(str(deep)), "default", overwrite=False):
        assert Files(str(deep)).names("analysis") == []
    assert there(tmp_path) == []
    with pytest.raises(KeyboardInterrupt), claimed(Files(str(deep)), "default", overwrite=False):
        raise KeyboardInterrupt
    assert there(tmp_path) == []
    with claimed(Files(str(deep)), "default", overwrite=False):
        finish(deep)
    assert there(deep) == ["analysis", "analysis/default", "analysis/default/summary.json"]


def test_what_is_there_is_replaced_only_where_that_is_asked_for(tmp_path):
    finish(tmp_path)
    with (
        pytest.raises(StoreError, match="already has an analysis default; use another --name, or --overwrite"),
        claimed(Files(str(tmp_path)), "default", overwrite=False),
    ):
        pytest.fail("claimed")
    with claimed(Files(str(tmp_path)), "default", overwrite=True):
        pass
    assert there(tmp_path) == ["analysis", "analysis/default", "analysis/default/summary.json"]


def test_what_another_command_finished_before_the_claim_is_not_replaced(tmp_path, monkeypatch):
    """Between looking for the file and locking it the first command ends."""
    files, real = Files(str(tmp_path)), fcntl.flock
    first = claimed(files, "default", overwrite=False)
    first.__enter__()

    def late(descriptor, how):
        monkeypatch.setattr(fcntl, "flock", real)
        finish(tmp_path)
        first.__exit__(None, None, None)
        real(descriptor, how)  # the lock is free by now, but nobody else would find this file

    monkeypatch.setattr(fcntl, "flock", late)
    with (
        pytest.raises(StoreError, match="already has an analysis"),
        claimed(files, "default", overwrite=False),
    ):
        pytest.fail("claimed")
    assert there(tmp_path) == ["analysis", "analysis/default", "analysis/default/summary.json"]


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a b", "x" * 65])
def test_names_that_are_none_are_refused(name, tmp_path):
    with pytest.raises(ConfigError, match="--name "), claimed(Files(str(tmp_path)), name, overwrite=True):
        pytest.fail("claimed")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_on_disks_without_locks_nothing_is_claimed(number, tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(number, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    files = Files(str(tmp_path))
    with claimed(files, "default", overwrite=False), claimed(files, "default", overwrite=False):
        assert there(tmp_path) == ["analysis"]
    assert there(tmp_path) == []


def test_in_places_that_cannot_be_written_to_nothing_is_claimed(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    files = Files(str(tmp_path))
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with claimed(files, "default", overwrite=False), claimed(files, "default", overwrite=False):
            claims = list(tmp_path.rglob(".*"))
    assert claims == []
    assert there(tmp_path) == []


def test_where_no_folder_can_be_made_nothing_is_claimed():
    files = Files("/proc/nothing")
    with claimed(files, "default", overwrite=False), claimed(files, "default", overwrite=False):
        made = Path("/proc/nothing").exists()
    assert not made


def test_in_object_stores_nothing_is_claimed_but_names_are_checked():
    files = Files("memory://claims")
    with claimed(files, "default", overwrite=False), claimed(files, "default", overwrite=False):
        finish_there = files.publish("analysis/default/summary.json", b"{}")
    assert finish_there
    with pytest.raises(StoreError, match="already has"), claimed(files, "default", overwrite=False):
        pytest.fail("claimed")


def test_the_claim_of_a_command_that_was_killed_ends_with_it(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"claimed\n"
        files = Files(str(tmp_path / "out"))
        with pytest.raises(StoreError, match="another command"), claimed(files, "default", overwrite=True):
            pytest.fail("claimed")
        first.kill()
        first.wait()
    with claimed(files, "default", overwrite=False):
        finish(tmp_path / "out")
    assert there(tmp_path / "out") == ["analysis", "analysis/default", "analysis/default/summary.json"]


@pytest.fixture
def bags(tmp_path, monkeypatch) -> Path:
    """Two files, of 15 and of 20 checkpoints."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name, rows in (("x", 15), ("y", 20)):
        pq.write_table(pa.table({"weights": random.normal(size=(rows, 40)).tolist()}), f"{name}.parquet")
    return tmp_path


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_second_command_is_refused_in_one_line_before_it_starts_anything(executor, bags, capsys, monkeypatch):
    def start(*_, **__):
        pytest.fail("an executor was opened")

    monkeypatch.setattr("zoo_pipeline.runtime.opening.open_executor", start)
    with claimed(Files(str(bags / "out")), "default", overwrite=False):
        assert main(["analyze", "x.parquet", "--out", "out", "--executor", executor, "--overwrite"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.endswith("another command is making the analysis default there; wait for it, or use another --name")
    assert not (bags / "out").exists()


def test_analyses_of_a_run_are_claimed_too(small_run, capsys):
    with claimed(Files(str(small_run)), "second", overwrite=False):
        assert main(["analyze", str(small_run), "--name", "second", "--executor", "inline"]) == 2
        with pytest.raises(StoreError, match="another command is making the analysis second"):
            workflow.analyze(str(small_run), "second", executor="inline")
    assert "another command is making the analysis second there" in capsys.readouterr().err
    assert not (small_run / "analysis/second").exists()


def test_of_two_commands_at_once_one_ends_well_and_whole_and_the_other_is_refused(bags):
    def command(name: str) -> subprocess.Popen[str]:
        asked = ["analyze", f"{name}.parquet", "--out", "out", "--executor", "inline"]
        return subprocess.Popen(
            [sys.executable, "-m", "zoo_pipeline.cli", *asked],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    both = {rows: command(name) for name, rows in (("x", 15), ("y", 20))}
    told = {rows: one.communicate()[1] for rows, one in both.items()}
    codes = {one.returncode: rows for rows, one in both.items()}
    assert set(codes) == {0, 2}
    (line,) = told[codes[2]].strip().splitlines()
    assert "making the analysis default there" in line or "already has an analysis default" in line
    folder = bags / "out/analysis/default"
    assert json.loads((folder / "summary.json").read_text())["checkpoints"] == codes[0]
    assert pq.read_metadata(folder / "d-40/assignments.parquet").num_rows == codes[0]
    assert (folder / "d-40/report.html").exists()
    assert not list((bags / "out").rglob(".*"))
