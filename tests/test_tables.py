import io

from rich.console import Console

from zoo_pipeline.runtime.training import GroupWork, TrainingReport
from zoo_pipeline.tables import engine_line, training_table


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


def test_the_engine_is_told_in_a_line():
    engine = {"threads": 1, "stack": 1, "capture": False, "calibration": [{}]}
    assert engine_line(engine) == "engine: 1 model at once, 1 thread (measured)"
    engine = {"threads": 2, "stack": None, "capture": True}
    assert engine_line(engine) == "engine: all models at once, 2 threads, CUDA graphs (as configured)"
