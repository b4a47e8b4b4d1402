"""A machine that is lost for good ends an analysis with a word, and is not waited for without end."""

import random
import sys
import time
from threading import Thread

import pytest
from ray import cloudpickle

from benchmarks.chaos.cluster import LocalCluster
from zoo_pipeline.config import Resources
from zoo_pipeline.errors import UnfinishedError
from zoo_pipeline.runtime import aggregate
from zoo_pipeline.runtime.session import ray_session

pytestmark = pytest.mark.long


def work(folder, item):
    (folder / str(item)).touch()
    time.sleep(3)
    return item


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(aggregate, "POLL_S", 0.2)
    monkeypatch.setattr(aggregate, "ROOM_WAIT_S", 2.0)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file


def lose_one_at_work(cluster, folder) -> None:
    def lose() -> None:
        while len(list(folder.iterdir())) < 2:
            time.sleep(0.05)
        cluster.kill_node(random.Random(0), replace=False)

    Thread(target=lose, daemon=True).start()


@pytest.mark.usefixtures("impatient")
def test_a_machine_that_nobody_replaces_is_told(tmp_path):
    with LocalCluster(2) as cluster, ray_session(cluster.address, Resources()), aggregate.aggregate_actors(2) as crew:
        lose_one_at_work(cluster, tmp_path)
        with pytest.raises(UnfinishedError, match="none has taken its place"):
            list(crew.map(Work(tmp_path), range(4)))


@pytest.mark.usefixtures("impatient")
def test_a_machine_without_a_gpu_takes_no_place_of_one_with_it(tmp_path):
    with (
        LocalCluster(2, gpus=1) as cluster,
        ray_session(cluster.address, Resources()),
        aggregate.aggregate_actors(2) as crew,
    ):
        cluster.add_node()
        lose_one_at_work(cluster, tmp_path)
        with pytest.raises(UnfinishedError, match="none has taken its place"):
            list(crew.map(Work(tmp_path), range(4)))


class Work:
    """`work` in a folder."""

    def __init__(self, folder) -> None:
        self.folder = folder

    def __call__(self, item, **_device):
        return work(self.folder, item)
