"""Two drivers on one run: both end with the same manifest, and no shard is published twice."""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from zoo_pipeline.config import Resources
from zoo_pipeline.runtime.analysis_in_turn import analyze_in_turn
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.store.analyses import analysis_exists
from zoo_pipeline.store.claim import claimed
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.integrity import verify
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.shards import contents_sha256

GROUPS = 40
LARGE = ("zoo.population={seeds: 80, group_size: 2}", "zoo.training.epochs=50", "resources={stack: 2, threads: 1}")
SMALL = ("zoo.population={seeds: 6, group_size: 2}", "zoo.training.epochs=5", "resources={stack: 2, threads: 1}")


def driver(root: Path, log: Path, command: str = "train", sizes: tuple[str, ...] = LARGE) -> subprocess.Popen:
    words = [sys.executable, "-m", "zoo_pipeline.cli", command, "digits-demo", "--out", str(root), "--resume"]
    words += [word for size in sizes for word in ("--set", size)]
    words += ["--executor", "inline", "--log", str(log)]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def events(log: Path, event: str) -> list[int]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line["group"] for line in lines if line["event"] == event]


def contents(root: Path) -> dict[str, str]:
    return {path.name: contents_sha256(pq.read_table(path)) for path in (root / "checkpoints").iterdir()}


def test_two_drivers_share_the_groups_and_end_with_one_manifest(tmp_path):
    root, logs = tmp_path / "run", [tmp_path / "first.log", tmp_path / "second.log"]
    first = driver(root, logs[0])
    while not list(root.glob("checkpoints/*.parquet")) and first.poll() is None:
        time.sleep(0.01)
    second = driver(root, logs[1])
    told = [each.communicate(timeout=240)[1] for each in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), told
    published = Counter(group for log in logs for group in events(log, "shard published"))
    assert published == Counter(range(GROUPS))
    assert "beginning with the last group" in told[1]
    both = [set(events(log, "shard published")) for log in logs]
    assert min(map(len, both)) > 0, "each had its share"
    begun = Counter(group for log in logs for group in events(log, "group begun"))
    assert sum(begun.values()) - GROUPS <= 2, "they meet once, and do not train the same groups side by side"
    trained = [json.loads(log.read_text().splitlines()[-1])["trained"] for log in logs]
    assert GROUPS <= sum(trained) <= GROUPS + 2, "what the other one published is not counted"
    assert verify(RunDirectory(str(root)))["complete"]
    assert not (root / "progress.json").exists()
    calm = tmp_path / "calm"
    alone = driver(calm, tmp_path / "calm.log")
    said = alone.communicate(timeout=240)[1]
    assert alone.returncode == 0, said
    assert contents(root) == contents(calm)
    assert (root / "manifest.json").read_bytes() == (calm / "manifest.json").read_bytes()


def test_two_drivers_that_start_at_once_do_each_other_no_harm(tmp_path):
    root, logs = tmp_path / "run", [tmp_path / "first.log", tmp_path / "second.log"]
    drivers = [driver(root, log) for log in logs]
    told = [each.communicate(timeout=240)[1] for each in drivers]
    assert [each.returncode for each in drivers] == [0, 0], told
    published = Counter(group for log in logs for group in events(log, "shard published"))
    assert published == Counter(range(GROUPS))
    assert verify(RunDirectory(str(root)))["complete"]


def test_drivers_that_end_together_make_one_analysis(tmp_path):
    """The second waits for the first, and takes what it made; where the first dies, it makes it."""
    root = tmp_path / "run"
    said = (alone := driver(root, tmp_path / "0.log", sizes=SMALL)).communicate(timeout=240)[1]
    assert alone.returncode == 0, said
    with claimed(Files(str(root)), "default", overwrite=True):
        first, second = (driver(root, tmp_path / f"{number}.log", "run", SMALL) for number in (1, 2))
        assert all(any("waiting for it" in line for line in each.stderr) for each in (first, second))
    told = [each.communicate(timeout=240)[1] for each in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], told
    assert analysis_exists(Files(str(root)), "default")
    assert (root / "report.html").exists()


@pytest.mark.parametrize("left", [None, "old", "[]", '{"complete": false}', "{"])
def test_what_a_dead_driver_left_is_not_taken_for_its_analysis(left, small_run, tmp_path, monkeypatch):
    root = shutil.copytree(small_run, tmp_path / "run")
    summary = root / "analysis" / "default" / "summary.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "name": "old"}))

    def died(*_: object) -> None:  # and may have written something at the end
        if left != "old":
            summary.unlink() if left is None else summary.write_text(left)
        other.close()

    with ExitStack() as other:
        other.enter_context(claimed(Files(str(root)), "default", overwrite=True))
        monkeypatch.setattr("zoo_pipeline.runtime.analysis_in_turn.tell_line", died)
        found = analyze_in_turn(InlineExecutor(Resources()), str(root), "default", 1 << 30)
    assert found["name"] == "digits-demo"
    assert json.loads(summary.read_text()) == found
