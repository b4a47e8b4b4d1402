import json
import shutil
from collections import defaultdict

import pytest

from zoo_pipeline.cli import main
from zoo_pipeline.config import Resources
from zoo_pipeline.runtime import group_task
from zoo_pipeline.runtime.analysis import analyze_run
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.runtime.metrics import METRICS, Figures
from zoo_pipeline.runtime.progress import GroupNews, Tally, Work
from zoo_pipeline.runtime.training import train_zoo
from zoo_pipeline.runtime.training_meter import TrainingMeter


def told(figures: Figures) -> dict:
    """What a meter of the run "run" has, by metric; by metric and tag where there is one."""
    found: dict = defaultdict(dict)
    for (name, run, *tags), value in figures.values.items():
        assert run == "run"
        if tags:
            found[name][tags[0]] = value
        else:
            found[name] = value
    return found


def meter_of(models: dict[int, int], epochs: int = 10, found: int = 0) -> tuple[TrainingMeter, Figures]:
    figures = Figures()
    return TrainingMeter(figures, "run", Tally(models, epochs), models, found), figures


def test_a_run_is_counted_exactly(prepared):
    report = train_zoo(*prepared)
    made, _, run, executor = prepared
    values = told(executor.meter)
    assert values["zoo_model_epochs_total"] == made.models * 3 == 18
    assert values["zoo_written_bytes_total"] == sum(line["bytes"] for line in run.manifest["shards"])
    assert values["zoo_groups_done_total"] == 3
    assert values["zoo_groups"] == {"found": 0, "waiting": 0, "running": 0, "done": 3, "failed": 0}
    assert values["zoo_model_epochs_left"] == 0
    assert set(values["zoo_task_seconds_total"]) == {"start", "train", "encode", "publish", "other"}
    assert sum(values["zoo_task_seconds_total"].values()) == pytest.approx(
        sum(work.wall_s for work in report.groups), rel=0.1
    )


def test_what_fails_and_what_was_found_is_told_apart(prepared, monkeypatch, fail_group_of):
    fail_group_of(2, RuntimeError("cosmic ray"))
    train_zoo(*prepared)
    values = told(prepared[3].meter)
    assert (values["zoo_groups_done_total"], values["zoo_groups_failed_total"]) == (2, 1)
    monkeypatch.undo()
    again = InlineExecutor(Resources())
    train_zoo(*prepared[:3], again)
    values = told(again.meter)
    assert values["zoo_groups"] == {"found": 2, "waiting": 0, "running": 0, "done": 1, "failed": 0}
    assert values["zoo_model_epochs_total"] == 6


def test_saved_states_have_a_stage_of_their_own(prepared, monkeypatch):
    monkeypatch.setattr(group_task, "STATE_EVERY_EPOCHS", 1)
    train_zoo(*prepared)
    assert told(prepared[3].meter)["zoo_task_seconds_total"]["state"] > 0


def test_an_attempt_is_counted_by_what_it_adds_and_another_is_a_retry():
    meter, figures = meter_of({0: 3, 1: 2}, found=4)
    meter.hear(GroupNews(0, 0, "a"))
    meter.hear(GroupNews(0, 4, "a", work=Work(4, 0, {"train": 2.0})))
    meter.hear(GroupNews(0, 6, "a", work=Work(6, 100, {"train": 3.0, "encode": 1.0})))
    meter.hear(GroupNews(0, 3, "b", work=Work(1, 0, {"train": 0.5})))  # goes on from what "a" saved at epoch 2
    meter.pass_on()
    values = told(figures)
    assert values["zoo_model_epochs_total"] == 3 * (6 + 1), "work that was lost and done again was done"
    assert values["zoo_written_bytes_total"] == 100
    assert values["zoo_task_seconds_total"] == {"train": 3.5, "encode": 1.0}
    assert values["zoo_groups_retried_total"] == 1
    assert values["zoo_groups"] == {"found": 4, "waiting": 1, "running": 1, "done": 0, "failed": 0}
    assert meter.last_attempt(0) == "b"
    assert meter.last_attempt(1) is None


def test_messages_that_are_lost_or_late_change_no_total():
    meter, figures = meter_of({0: 3, 1: 2})
    meter.done(0, "a", Work(10, 50, {"train": 5.0}))
    meter.hear(GroupNews(0, 8, "a", work=Work(8, 50, {"train": 4.0})))
    meter.failed(1)
    meter.hear(GroupNews(1, 8, "c", work=Work(8, 0, {"train": 4.0})))
    meter.pass_on()
    values = told(figures)
    assert (values["zoo_model_epochs_total"], values["zoo_written_bytes_total"]) == (30, 50)
    assert values["zoo_task_seconds_total"] == {"train": 5.0}
    assert values["zoo_groups"] == {"found": 0, "waiting": 0, "running": 0, "done": 1, "failed": 1}


def test_an_analysis_is_counted_by_the_seconds_of_its_stages(small_run, tmp_path):
    executor = InlineExecutor(Resources())
    shutil.copytree(small_run, tmp_path / "run")
    summary = analyze_run(executor, str(tmp_path / "run"), "counted")
    values = told(executor.meter)
    assert values["zoo_analysis_seconds_total"] == summary["seconds"]
    assert values["zoo_analysis_checkpoints_total"] == {"analysed": 24}


def test_names_have_units_and_say_counter_or_not():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("zoo_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.means.endswith(".")


def test_a_line_of_the_log_says_which_attempt_did_it(tmp_path):
    log = tmp_path / "log.jsonl"
    words = ["train", "digits-demo", "--set", "zoo.population={seeds: 2, group_size: 1}", "--executor", "inline"]
    assert main([*words, "--set", "zoo.training.epochs=1", "--out", str(tmp_path / "run"), "--log", str(log)]) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    of_groups = [line for line in lines if "group" in line]
    assert {line["event"] for line in of_groups} == {"group begun", "shard published", "group done"}
    for number in (0, 1):
        assert len({line["attempt"] for line in of_groups if line["group"] == number}) == 1
    assert {line["run"] for line in lines} == {str(tmp_path / "run")}
