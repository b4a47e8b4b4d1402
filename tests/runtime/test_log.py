"""What tasks log, and whom it concerns."""

import json
import logging
import pickle

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
