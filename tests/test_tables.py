import io

import pytest
from rich.console import Console

from zoo_pipeline.runtime.training import GroupWork, TrainingReport
from zoo_pipeline.tables import _SCORES, _shard_line, engine_line, summary_table, training_table


def printed(*works: GroupWork) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=100)
    console.print(training_table(TrainingReport(len(works), 0, 0, (), works, {}, 20.0)))
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_the_closing_table_has_the_throughput_and_seconds_of_the_tasks():
    works = [GroupWork(0, 10, 50, 2.0, 0), GroupWork(1, 10, 50, 4.0, 0), GroupWork(2, 10, 5, 1.0, 0)]
    assert printed(*works) == [
        ["per", "group", "least", "median", "most"],
        ["model-epochs/s", "50.0", "125.0", "250.0"],
        ["seconds", "1.00", "2.00", "4.00"],
    ]


def test_retries_are_told_where_there_are_any():
    works = [GroupWork(0, 10, 50, 2.0, 1), GroupWork(1, 10, 50, 4.0, 2)]
    assert printed(*works)[-1] == ["tasks", "begun", "again", "3"]


def test_the_throughput_of_a_call_is_that_of_all_its_groups():
    works = (GroupWork(0, 10, 50, 2.0, 0), GroupWork(1, 10, 50, 4.0, 0))
    assert TrainingReport(2, 0, 0, (), works, {}, 20.0).model_epochs_per_s == 50.0


def test_one_is_not_counted_as_many():
    shard = {"shard": "a", "rows": 1, "raw_bytes": 432, "epochs": [1, 1]}
    assert _shard_line({**shard, "models": 1, "model_ids": [5, 5]}) == "1 model (id 5), 1 row, 432 bytes"
    many = {**shard, "models": 4, "model_ids": [0, 5], "rows": 2_000}
    assert _shard_line(many) == "4 models (ids 0 to 5), 2,000 rows, 432 bytes"
    engine = {"threads": 1, "stack": 1, "capture": False}
    assert engine_line(engine) == "engine: 1 model at once, 1 thread (as configured)"
    assert engine_line({"threads": 2, "stack": None, "capture": True, "calibration": [{}]}) == (
        "engine: all models at once, 2 threads, CUDA graphs (measured)"
    )


@pytest.mark.parametrize(
    ("threshold", "layout_known", "told"),
    [
        (None, False, "a guess (layout unknown: --layout FILE.json)"),
        (None, True, "a guess (hardly any hidden units)"),
        (5.1, True, None),
    ],
)
def test_a_cut_that_was_a_guess_says_so(threshold, layout_known, told):
    summary = {
        **dict.fromkeys(_SCORES),
        "name": "bag",
        "checkpoints": 3,
        "dimension": 5,
        "layout_known": layout_known,
        "cut": {"threshold": threshold},
        "left_out": {"checkpoints": 0, "models": 0},
        "seconds": {"all": 1.0},
    }
    console = Console(file=io.StringIO(), width=100)
    console.print(summary_table(summary))
    text = console.file.getvalue()
    assert told in text if told else "guess" not in text
