"""What tasks log, and whom it concerns."""

import json
import logging
import pickle
import subprocess
import sys

import pytest

from zoo_pipeline.runtime.log import JsonLines, attempt_of, log, logged, task_log, tell_group
from zoo_pipeline.store.patience import patiently


def test_what_a_task_waits_for_says_whose_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo_pipeline.store.patience.TOLD_AFTER_S", -1.0)
    monkeypatch.setattr("zoo_pipeline.store.patience.FIRST_WAIT_S", 0.001)

    def failing_once():
        faults = [ConnectionResetError("gone")]

        def call() -> int:
            if faults:
                raise faults.pop()
            return 1

        return call

    with logged(tmp_path / "log"):
        with tell_group("/runs/a", 3, "node:1:abc"):
            assert patiently(failing_once(), "a shard") == 1
        assert patiently(failing_once(), "another") == 1
    first, second = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert (first["run"], first["group"], first["attempt"]) == ("/runs/a", 3, "node:1:abc")
    assert first["event"].startswith("a shard: ")
    assert second["event"].startswith("another: ")
    assert "group" not in second


def test_an_error_of_a_task_is_logged_with_its_traceback_and_says_whose_it_is_wherever_it_goes(caplog):
    with pytest.raises(ValueError, match="no") as caught, tell_group("/runs/a", 3, "node:1:abc"):
        raise ValueError("no")
    (record,) = [record for record in caplog.records if record.name == "zoo_task"]
    assert (record.levelname, record.getMessage(), record.group) == ("ERROR", "group failed", 3)
    assert record.exc_info
    assert attempt_of(pickle.loads(pickle.dumps(caught.value))) == "node:1:abc"
    assert attempt_of(ValueError("another")) is None


def test_a_task_logs_apart_from_the_driver_that_it_may_share_a_process_with(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with logged(tmp_path / "log"), tell_group("/runs/a", 3, "node:1:abc"):
        task_log("shard published", epoch=4)
        log("group done", group=3)
    assert [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()] == ["group done"]
    (record,) = [record for record in caplog.records if record.name == "zoo_task"]
    line = json.loads(JsonLines().format(record))
    assert (line["event"], line["run"], line["group"], line["attempt"], line["epoch"]) == (
        "shard published", "/runs/a", 3, "node:1:abc", 4,
    )  # fmt: skip


APART = """
import contextlib, sys
from pathlib import Path
from zoo_pipeline.runtime.log import log, logged
from zoo_pipeline.store import patience

patience.PATIENCE_S, patience.TOLD_AFTER_S = 0.5, -1.0
with logged(Path(sys.argv[1]) if sys.argv[1:] else None), contextlib.suppress(ConnectionError):
    log("group failed", 40, group=3)
    patience.patiently(lambda: (_ for _ in ()).throw(ConnectionResetError("gone")), "a shard")
"""


@pytest.mark.parametrize("file", [[], ["log"]], ids=["no file", "a file"])
def test_a_terminal_shows_what_is_waited_for_and_no_events(file, tmp_path):
    """In a process of its own: pytest has handlers."""
    command = [sys.executable, "-c", APART, *(str(tmp_path / name) for name in file)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stderr
    assert told == "a shard: gone; trying again for up to 0 s\n"
