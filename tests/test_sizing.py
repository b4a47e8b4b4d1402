"""How large a cluster a plan takes: the arithmetic, and mistakes."""

import json
from math import ceil

import pytest

from zoo_pipeline.cli import main
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.planning import planned
from zoo_pipeline.sizing import Wish, size
from zoo_pipeline.task_memory import task_bytes

GPU = "resources.num_gpus=1"


def sized(*overrides: str, recipe: str = "mnist-a1", **wish) -> dict:
    (made,) = planned(recipe, overrides)
    return size(made, Wish(**wish))


def test_a_measured_rate_gives_the_time():
    found = sized(cpus=2, rate=5.0, price=0.1)  # 4 groups of 15 models × 50 epochs, two by two
    assert (found["tasks_at_once"], found["waves"], found["seconds"]) == (2, 2, 2 * 15 * 50 / 5)
    assert found["device_hours"] == pytest.approx(2 * 300 / 3600)
    assert found["cost"] == pytest.approx(0.1 * 2 * 300 / 3600)
    assert found["rate_from"] == "measured"


def test_a_time_gives_as_few_cpus_as_are_done_in_it():
    for hours in (0.05, 0.1, 0.2, 1.0):
        found = sized(hours=hours, rate=5.0)
        assert found["seconds"] <= hours * 3600
        if found["devices"] > 1:
            assert sized(cpus=found["devices"] - 1, rate=5.0)["seconds"] > hours * 3600


def test_more_than_one_device_per_group_does_not_help():
    assert sized(cpus=4, rate=5.0)["seconds"] == sized(cpus=400, rate=5.0)["seconds"] == 15 * 50 / 5
    assert sized(cpus=400, rate=5.0)["tasks_at_once"] == 4


def test_tasks_that_share_a_gpu_share_its_rate():
    alone, shared = (sized(f"resources.num_gpus={share}", gpus=2, rate=100.0) for share in (1, 0.5))
    assert (alone["tasks_at_once"], shared["tasks_at_once"]) == (2, 4)
    assert shared["group_s"] == 2 * alone["group_s"]
    assert shared["seconds"] == alone["seconds"]


def test_a_task_of_several_cpus_has_the_rate_of_all():
    found = sized("resources.num_cpus=4", cpus=8, rate=5.0)
    assert (found["tasks_at_once"], found["group_s"]) == (2, 15 * 50 / 20)


def test_machines_hold_their_tasks_and_ray():
    (made,) = planned("mnist-a1", ["zoo.population.seeds=1000"])
    found = size(made, Wish(cpus=20, per_node=8))
    assert (found["nodes"], found["tasks_per_node"]) == (ceil(20 / 8), 8)
    assert found["node_bytes"] == 8 * task_bytes(made) + 2 * 2**30
    assert found["storage_bytes"] == made.raw_bytes


def test_no_task_has_cpus_of_two_machines():
    tasks = [sized("resources.num_cpus=3", cpus=cpus, rate=5.0, per_node=8)["tasks_at_once"] for cpus in (8, 11, 16)]
    assert tasks == [2, 3, 4]
    assert sized("resources.num_cpus=3", hours=15 * 50 / 15 / 3600, rate=5.0)["devices"] == 16  # four tasks at once
    with pytest.raises(ConfigError, match="--per-node 2: one task takes 3 CPUs of one machine"):
        sized("resources.num_cpus=3", cpus=8, per_node=2)


def test_the_estimated_rate_follows_from_the_operations():
    found = sized(cpus=1)
    assert found["operations_per_model_epoch"] == 15_880 * (3 * 8_000 + 10_000)
    assert found["rate"] == pytest.approx(4e9 / found["operations_per_model_epoch"])
    half = sized("zoo.training.data_fraction=0.5", cpus=1)
    assert half["operations_per_model_epoch"] == 15_880 * (4 * 4_000 + 2_000)


def test_the_estimate_is_not_above_what_was_measured():
    """docs/results/training.md, per core and of one GPU."""
    digits = sized(recipe="digits-demo", cpus=1)["rate"]
    cnn = sized("zoo.model={architecture: cnn-s}", cpus=1)["rate"]
    gpu = sized(GPU, gpus=1)["rate"]
    resnet = sized(GPU, "zoo.population.group_size=4", recipe="cifar10-resnet-18-seed", gpus=1)["rate"]
    assert 1_697 / 2 / 4 < digits <= 1_697 / 2
    assert 1.05 / 2 / 2 < cnn <= 1.05 / 2
    assert 5_309 / 2 < gpu <= 5_309
    assert 0.87 * (5_120 * 5 / 260_000) / 2 < resnet <= 0.87 * 5_120 * 5 / 210_000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--gpus 8", "--gpus, --cpus, --hours, --rate, --price, --per-node: are for --cluster; add it"),
        ("--cluster --gpus 8", "--gpus: tasks of this configuration use none; add --set resources.num_gpus=1"),
        (f"--cluster --cpus 8 --set {GPU}", "--cpus: tasks of this configuration use GPUs; say --gpus"),
        ("--cluster --cpus 8 --hours 3", "--cpus --hours: the one follows from the other; give one of them"),
        ("--cluster --cpus 2 --set resources.num_cpus=4", "--cpus 2: one task takes 4 (resources)"),
        ("--cluster --hours 0.01", "--hours 0.01: one group alone takes 0.03 h"),
    ],
)
def test_a_mistake_is_told_in_one_line(words, told, capsys):
    assert main(["plan", "mnist-a1", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"zoo: {told}")


def test_the_figures_come_as_json_too(capsys):
    assert main(["plan", "mnist-a1", "--cluster", "--cpus", "2", "--rate", "5", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (made,) = planned("mnist-a1")
    assert found["task_bytes"] == task_bytes(made)
    assert found["cluster"] == size(made, Wish(cpus=2, rate=5.0))


def test_a_plan_that_cannot_be_sized_says_so():
    with pytest.raises(ConfigError, match=r"use smaller groups \(zoo.population.group_size, now 15\)"):
        sized(hours=0.001)
