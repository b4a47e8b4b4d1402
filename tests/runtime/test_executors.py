"""Ray and inline give the same run; one Ray for the whole module."""

import os
import signal
import sys
import threading
import time
import traceback
from functools import partial
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
import ray
from ray import cloudpickle

from zoo_pipeline import ranges
from zoo_pipeline.config import Resources
from zoo_pipeline.data import load_dataset
from zoo_pipeline.errors import ConfigError, StoreError, UnfinishedError, ZooError
from zoo_pipeline.plan import plan
from zoo_pipeline.runtime import mailbox, training
from zoo_pipeline.runtime import ray_executor as ray_module
from zoo_pipeline.runtime.ending import Terminated, ended_by_sigterm
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.runtime.metrics import Figures
from zoo_pipeline.runtime.opening import open_executor
from zoo_pipeline.runtime.progress import Tally
from zoo_pipeline.runtime.ray_executor import RayExecutor, _granted
from zoo_pipeline.runtime.training import train_zoo
from zoo_pipeline.runtime.training_meter import TrainingMeter
from zoo_pipeline.store.failures import failures
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.shards import contents_sha256
from zoo_pipeline.trajectories.crew import Crew
from zoo_pipeline.zoo import Zoo

ENGINE = {"threads": 1, "stack": 2, "capture": False}


@pytest.fixture(scope="module")
def ray_executor():
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file
    with open_executor("ray", Resources(), "local") as executor:
        yield executor


def square(number: int, offset: int, *, device: str) -> tuple[int, str, int]:
    if number == 3:
        raise ValueError("three")
    if number == 4:
        raise StoreError("disk full")
    return number * number + offset, device, os.getpid()


@pytest.mark.parametrize("name", ["ray", "inline"])
def test_every_item_comes_back_once_with_its_value_or_its_error(name, ray_executor):
    executor = ray_executor if name == "ray" else InlineExecutor(Resources())
    outcomes = {outcome.item: outcome for outcome in executor.map_unordered(square, list(range(20)), 100)}
    assert set(outcomes) == set(range(20))
    assert all(outcomes[n].value[:2] == (n * n + 100, "cpu") for n in outcomes if n not in (3, 4))
    assert type(outcomes[3].error) is ValueError
    assert str(outcomes[3].error) == "three"
    assert type(outcomes[4].error) is StoreError
    assert "in square" in "".join(traceback.format_exception(outcomes[3].error))  # also where another process raised
    pids = {outcome.value[2] for outcome in outcomes.values() if outcome.value}
    assert (os.getpid() in pids) == (name == "inline")


def asked_for(_item: int, *, device: str) -> float:
    return ray.get_runtime_context().get_assigned_resources().get("memory", 0)


@pytest.mark.parametrize(("memory_bytes", "granted"), [(0, 0), (1 << 28, 1 << 28), (1 << 60, None)])
def test_a_task_asks_for_its_memory_but_for_no_more_than_a_machine_has(memory_bytes, granted, ray_executor):
    most = max(node["Resources"]["memory"] for node in ray.nodes())
    outcome = next(ray_executor.map_unordered(asked_for, [0], memory_bytes=memory_bytes))
    assert outcome.value == (int(most) if granted is None else granted)


@pytest.mark.parametrize(("gpus", "granted"), [(0, 256), (1, 20), (2, 300)], ids=["none", "one", "of no machine"])
def test_only_machines_that_can_run_a_task_say_how_much_memory_it_may_ask_for(gpus, granted, monkeypatch):
    machines = [{"CPU": 8, "GPU": 1, "memory": 20}, {"CPU": 32, "memory": 256}, {"CPU": 0, "memory": 999}]
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": machine} for machine in machines])
    assert _granted(300, 1, gpus) == granted


@pytest.mark.parametrize("shard_bytes", [1 << 28, 15_000], ids=["whole", "ranges"])
def test_both_executors_give_identical_shards(small_config, tmp_path, ray_executor, monkeypatch, shard_bytes):
    monkeypatch.setattr(ranges, "SHARD_BYTES", shard_bytes)
    dataset = load_dataset("digits")
    made = plan(small_config, dataset.facts)
    sums = {}
    for executor in (InlineExecutor(Resources()), ray_executor):
        run = RunDirectory(str(tmp_path / executor.name))
        run.claim(made)
        report = train_zoo(made, dataset, run, executor)
        assert (report.trained, report.failures) == (3, ())
        assert [(work.group, work.models, work.epochs, work.retries) for work in report.groups] == [
            (group, 2, 3, 0) for group in range(3)
        ]
        shards = sorted((tmp_path / executor.name / "checkpoints").iterdir())
        sums[executor.name] = [contents_sha256(pq.read_table(shard)) for shard in shards]
    assert len(sums["inline"]) == (3 if shard_bytes > 15_000 else 12)
    assert sums["ray"] == sums["inline"]
    zoos = [Zoo(str(tmp_path / name)) for name in sums]
    assert zoos[0].models.equals(zoos[1].models)


def until(true) -> None:
    """Wait for what is on its way: messages are not waited for where work has ended."""
    deadline = time.monotonic() + 60
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)


def chat(number: int, tell, *, device: str) -> int:
    tell(("begun", number))
    tell(("over", number))
    return number


@pytest.mark.parametrize("name", ["ray", "inline"])
def test_what_calls_tell_is_heard_here(name, ray_executor):
    executor, heard = ray_executor if name == "ray" else InlineExecutor(Resources()), []
    with executor.listening(heard.append) as tell:
        outcomes = list(executor.map_unordered(chat, list(range(5)), tell))
        until(lambda: len(heard) == 10)
    assert sorted(outcome.value for outcome in outcomes) == list(range(5))
    assert sorted(heard) == [(word, number) for word in ("begun", "over") for number in range(5)]


def test_messages_that_come_late_are_not_lost(ray_executor, monkeypatch):
    monkeypatch.setattr(mailbox, "TAKE_EVERY_S", 0.2)
    monkeypatch.setattr(mailbox, "TAKEN_WITHIN_S", 0.0)  # no answer is there at once
    heard = []
    with ray_executor.listening(heard.append) as tell:
        list(ray_executor.map_unordered(chat, list(range(5)), tell))
        until(lambda: len(heard) == 10)
    assert sorted(heard) == [(word, number) for word in ("begun", "over") for number in range(5)]


def test_a_lost_mailbox_fails_nobody(ray_executor):
    heard = []
    with ray_executor.listening(heard.append) as tell:
        ray.kill(tell._mailbox)
        outcomes = list(ray_executor.map_unordered(chat, list(range(5)), tell))
    assert sorted(outcome.value for outcome in outcomes) == list(range(5))
    assert heard == []


def test_what_listens_does_not_hold_up_what_is_told(ray_executor):
    def broken(message):
        raise ValueError(message)

    with ray_executor.listening(broken) as tell:
        assert next(iter(ray_executor.map_unordered(chat, [1], tell))).value == 1


def pid(*, threads: int) -> tuple[int, int]:
    return os.getpid(), threads


def test_a_call_gets_all_cpus_of_one_machine(ray_executor):
    process, threads = ray_executor.call("a test", pid)
    assert process != os.getpid()
    assert threads == int(ray.cluster_resources()["CPU"])


def offset_made_by(path: str) -> int:
    with Path(path).open("a") as made:
        made.write(f"{os.getpid()}\n")
    return 100


@pytest.mark.parametrize("name", ["ray", "inline"])
def test_what_is_kept_is_made_once_where_work_is_done_and_shared(name, ray_executor, tmp_path):
    executor = ray_executor if name == "ray" else InlineExecutor(Resources())
    kept = executor.keep("a test", partial(offset_made_by, str(tmp_path / "made")))
    for _ in range(2):
        assert sorted(outcome.value[0] for outcome in executor.map_unordered(square, [1, 2], kept)) == [101, 104]
    (made_by,) = (tmp_path / "made").read_text().split()
    assert (int(made_by) == os.getpid()) == (name == "inline")


def damaged() -> int:
    raise StoreError("mine.npz: damaged")


@pytest.mark.parametrize("name", ["ray", "inline"])
def test_what_cannot_be_kept_is_told_at_once(name, ray_executor):
    executor = ray_executor if name == "ray" else InlineExecutor(Resources())
    with pytest.raises(StoreError) as caught:
        executor.keep("a test", damaged)
    assert str(caught.value) == "mine.npz: damaged"


def squared_by_the_crew(item: int, *, device: str) -> int:
    assert device == "cpu"
    return item * item


def leading(numbers: list[int], died: str | None, *, crew: Crew) -> tuple[list[int], int, int]:
    found = list(crew.map(squared_by_the_crew, numbers))
    if died and not Path(died).exists():
        Path(died).touch()
        os._exit(1)
    return found, crew.workers, os.getpid()


@pytest.mark.parametrize("name", ["ray", "inline"])
def test_who_leads_has_a_crew_of_all_cpus_elsewhere(name, ray_executor):
    executor = ray_executor if name == "ray" else InlineExecutor(Resources())
    found, workers, process = executor.lead("a test", leading, [3, 1, 2], None, memory_bytes=1 << 60)
    assert found == [9, 1, 4]
    assert workers == (int(ray.cluster_resources()["CPU"]) if name == "ray" else 1)
    assert (process == os.getpid()) == (name == "inline")


def test_who_leads_and_dies_is_replaced_with_a_new_crew(ray_executor, tmp_path):
    found, *_ = ray_executor.lead("a test", leading, [3, 1, 2], str(tmp_path / "died"))
    assert (tmp_path / "died").exists()
    assert found == [9, 1, 4]


def name_of_task(*_, **__) -> str:
    return ray.get_runtime_context().get_task_name()


def test_ray_calls_tasks_what_their_work_is_called(ray_executor):
    assert ray_executor.call("a test", name_of_task) == "a test"
    assert next(ray_executor.map_unordered(name_of_task, [0])).value == "training"


def test_what_no_machine_can_run_is_told(ray_executor, monkeypatch):
    def tell(label, line):
        raise RuntimeError(f"{label}: {line}")  # in place of going on to wait

    monkeypatch.setattr(ray_module, "POLL_S", 0.1)
    monkeypatch.setattr(ray_module, "LINE_EVERY_S", 0.2)
    monkeypatch.setattr(ray_module, "tell_line", tell)
    waiting = RayExecutor(Resources(num_gpus=1)).map_unordered(asked_for, [0], work="import")
    with pytest.raises(
        RuntimeError, match=r"^import: waits for a machine with 1 CPU and 1 GPU: none is up; `ray status`"
    ):
        next(waiting)


def die_once(path: str, *, device: str) -> str:
    if not Path(path).exists():
        Path(path).touch()
        os._exit(1)
    return "alive"


def test_a_task_whose_worker_dies_is_run_again(ray_executor, tmp_path):
    outcomes = list(ray_executor.map_unordered(die_once, [str(tmp_path / "died")]))
    assert outcomes[0].value == "alive"


def die(*_, **__) -> None:
    os._exit(1)


def test_work_whose_workers_all_die_is_told_without_the_names_of_functions(ray_executor, monkeypatch):
    monkeypatch.setattr("zoo_pipeline.runtime.ray_executor.MAX_RETRIES", 0)
    with pytest.raises(ZooError, match=r"^a test: Ray could not finish it: its worker died") as raised:
        ray_executor.call("a test", die)
    outcome = next(ray_executor.map_unordered(die, [0]))
    assert type(outcome.error) is UnfinishedError
    assert str(outcome.error) == str(raised.value).replace("a test", "training")


def train_or_die(task, dataset, tell, *, device: str):
    """The second group's process always ends."""
    if task.group.number == 1:
        os._exit(1)
    from zoo_pipeline.runtime.group_task import train_and_publish

    return train_and_publish(task, dataset, tell, device=device)


def test_a_group_whose_workers_all_die_does_not_end_the_others(small_config, tmp_path, ray_executor, monkeypatch):
    monkeypatch.setattr("zoo_pipeline.runtime.ray_executor.MAX_RETRIES", 1)
    dataset = load_dataset("digits")
    made = plan(small_config, dataset.facts)
    run = RunDirectory(str(tmp_path / "run"))
    run.claim(made)
    monkeypatch.setattr(training, "train_and_publish", train_or_die)
    report = train_zoo(made, dataset, run, ray_executor)
    assert (report.trained, [failure.group for failure in report.failures]) == (2, [1])
    assert "its worker died as often as it was begun again" in failures(run)[1]
    assert run.manifest is None
    monkeypatch.undo()
    assert train_zoo(made, dataset, run, ray_executor).trained == 1
    assert run.manifest is not None


def train_and_die_once(task, dataset, tell, *, device: str):
    """The worker's process ends before epoch 3 of the first attempt."""
    from zoo_pipeline.runtime import group_task

    class Dying(group_task.GroupTraining):
        def advance(self) -> None:
            if self.epoch == 2 and not Path(task.root, "engine.json.died").exists():
                Path(task.root, "engine.json.died").touch()
                ray.get(tell._mailbox.__ray_ready__.remote())  # calls are in order: what it told is there
                os._exit(1)
            super().advance()

    group_task.GroupTraining, group_task.STATE_EVERY_EPOCHS = Dying, 1
    try:
        return group_task.train_and_publish(task, dataset, tell, device=device)
    finally:
        group_task.GroupTraining, group_task.STATE_EVERY_EPOCHS = Dying.__base__, None


def test_a_group_whose_worker_dies_is_gone_on_with_by_the_next(small_config, small_run, tmp_path, ray_executor):
    dataset = load_dataset("digits")
    made = plan(small_config, dataset.facts)
    run = RunDirectory(str(tmp_path / "run"))
    run.claim(made)
    task = training._task(made, run, made.groups[0], ENGINE, dataset.content_sha256)
    tally, figures = Tally({0: 2}, epochs=3), Figures()
    meter = TrainingMeter(figures, "run", tally, {0: 2}, found=0)

    def hear(news) -> None:
        meter.hear(news)
        tally.hear(news)

    with ray_executor.listening(hear) as tell:
        result = next(iter(ray_executor.map_unordered(train_and_die_once, [task], dataset, tell))).value
        until(lambda: tally.retries(0) == 1)
    assert result.epochs == 1, "the first two are of the worker that died"
    assert tally.retries(0) == 1
    meter.done(0, result.attempt, result.work)
    meter.pass_on()
    assert figures.values["zoo_groups_retried_total", "run"] == 1
    assert figures.values["zoo_model_epochs_total", "run"] == 2 * 3, "by both attempts together"
    assert figures.values["zoo_written_bytes_total", "run"] == sum(record.bytes for record in result.records)
    shard = made.groups[0].ranges[0].shard
    assert contents_sha256(pq.read_table(tmp_path / "run" / shard)) == contents_sha256(pq.read_table(small_run / shard))


def wait(seconds: float, folder: str, *, device: str) -> float:
    if seconds:
        (Path(folder) / uuid4().hex).touch()
    for _ in range(int(20 * seconds)):  # between two lines of Python a task can be interrupted, within one it cannot
        time.sleep(0.05)
    return seconds


def test_stopping_early_cancels_what_is_pending(ray_executor, tmp_path):
    outcomes = ray_executor.map_unordered(wait, [0.0] + [600.0] * 5, str(tmp_path))
    assert next(outcomes).value == 0.0
    running = int(ray.cluster_resources()["CPU"] / ray_executor._resources.num_cpus)
    while len(list(tmp_path.iterdir())) < min(running, 5):
        time.sleep(0.05)
    outcomes.close()
    assert ray_executor.call("a test", pid)[1] >= 1  # all CPUs are free again


def test_more_than_the_machine_has_is_refused(ray_executor):
    from zoo_pipeline.runtime.session import _check_fits

    with pytest.raises(ConfigError, match=r"resources\.num_gpus: got 1, but this machine has 0 GPUs"):
        _check_fits(Resources(num_gpus=1))
    with pytest.raises(ConfigError, match=r"resources\.num_cpus: got 4096"):
        _check_fits(Resources(num_cpus=4096))
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        InlineExecutor(Resources(num_gpus=1))


def test_the_window_grows_with_the_cluster_from_what_an_empty_one_needs(ray_executor, monkeypatch):
    sizes = {"CPU": 0.0, "GPU": 0.0}
    monkeypatch.setattr(ray, "cluster_resources", lambda: sizes)
    assert RayExecutor(Resources())._window() == 256
    sizes.update(CPU=1000.0)
    assert RayExecutor(Resources(num_cpus=0.5))._window() == 4000
    assert RayExecutor(Resources(num_gpus=0.25))._window() == 256
    sizes.update(GPU=100.0)
    assert RayExecutor(Resources(num_gpus=0.25))._window() == 800


def test_more_items_than_the_window_all_come_back(ray_executor, monkeypatch):
    from zoo_pipeline.runtime import ray_executor as module

    monkeypatch.setattr(module, "LEAST_WINDOW", 1)
    outcomes = list(ray_executor.map_unordered(square, list(range(10, 40)), 0))
    assert sorted(outcome.value[0] for outcome in outcomes) == [n * n for n in range(10, 40)]


def rest(seconds: float, *, device: str) -> None:
    time.sleep(seconds)


@pytest.mark.parametrize("name", ["ray", "inline"])
def test_sigterm_reaches_a_driver_that_waits(name, ray_executor):
    executor = ray_executor if name == "ray" else InlineExecutor(Resources())
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    with pytest.raises(Terminated) as ended, ended_by_sigterm():
        list(executor.map_unordered(rest, [8.0]))
    assert ended.value.code == 143
