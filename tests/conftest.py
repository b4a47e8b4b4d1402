"""Fixtures shared by all tests."""

import os

os.environ["RAY_AUTH_MODE"] = "disabled"  # before ray is imported anywhere
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.pop("RAY_ADDRESS", None)

from pathlib import Path

import pytest
import torch
from hypothesis import settings

from zoo_pipeline.config import ZooConfig
from zoo_pipeline.recipes import load_config
from zoo_pipeline.runtime import group_task
from zoo_pipeline.workflow import Options, run, train

settings.register_profile("zoo", deadline=None)  # timings are never asserted: the machines are noisy
settings.load_profile("zoo")

# Stack and threads are said, because a measured choice may differ from run to run, and with it the last bits.
SMALL = (
    "zoo.training.epochs=3",
    "zoo.population.seeds=6",
    "zoo.population.group_size=2",
    "resources={stack: 2, threads: 1}",
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def small_config() -> ZooConfig:
    """Six digits MLPs, three epochs, three groups."""
    return load_config("digits-demo", SMALL)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory) -> Path:
    """A complete, analysed run of the small configuration, trained inline. Read only."""
    out = tmp_path_factory.mktemp("small") / "run"
    run(Options("digits-demo", str(out), SMALL, executor="inline"))
    return out


@pytest.fixture
def train_small(tmp_path):
    """Train the small configuration into a directory of its own."""

    def train_into(name: str = "run", *more: str, **options) -> Path:
        out = tmp_path / name
        train(Options("digits-demo", str(out), SMALL + more, executor="inline", **options))
        return out

    return train_into


@pytest.fixture
def fail_group_of(monkeypatch):
    """Have the group with the model of a seed fail with an error, in this process, until `monkeypatch.undo()`."""

    def fail(seed: int, error: Exception) -> None:
        real = group_task.GroupTraining

        def sometimes(architecture, members, *others):
            if seed in [member.seed for member in members]:
                raise error
            return real(architecture, members, *others)

        monkeypatch.setattr(group_task, "GroupTraining", sometimes)

    return fail


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The data directory with MNIST's test images, or a skip."""
    root = os.environ.get("ZOO_DATA_DIR")
    if not root or not list((Path(root) / "mnist").glob("t10k-images-idx3-ubyte*")):
        pytest.skip("MNIST files are absent: set ZOO_DATA_DIR to a directory with mnist/t10k-*-ubyte[.gz]")
    return Path(root)


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """A bucket on the server that a module names as `endpoint`; faults that pass are hardly waited for."""
    from tests.store.buckets import new_bucket  # with what only S3 needs
    from zoo_pipeline.store import patience

    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.01)
    with new_bucket(endpoint) as made:
        yield made
