"""Large datasets are read by a worker that has them, and handed over by the driver where it has them alone."""

import numpy as np
import pytest

from zoo_pipeline import datasets, workflow
from zoo_pipeline.config import Resources
from zoo_pipeline.data import Dataset
from zoo_pipeline.datasets import PlannedDataset, load_dataset, planned_dataset
from zoo_pipeline.errors import DataError
from zoo_pipeline.plan import Plan, plan
from zoo_pipeline.recipes import load_config
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.runtime.opening import open_executor
from zoo_pipeline.runtime.training import train_zoo
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.workflow import Options, prepare
from zoo_pipeline.zoo import Zoo

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(256, size=(60, 8, 8), dtype=np.uint8)
CHANGES = (
    "zoo.training.epochs=1",
    "zoo.training.batch_size=8",
    "zoo.population.seeds=2",
    "resources={stack: 1, threads: 1}",
)


@pytest.fixture(scope="module")
def executor():
    with open_executor("ray", Resources(), "local") as opened:
        yield opened


@pytest.fixture
def mine(tmp_path):
    return write(tmp_path / "mine.npz", IMAGES)


def write(path, images):
    labels = np.arange(60) % 3
    split = {"train_images": images[:40], "train_labels": labels[:40]}
    np.savez(path, **split, test_images=images[40:], test_labels=labels[40:])
    return path


def made_of(name: str) -> Plan:
    return plan(load_config("digits-demo", [*CHANGES, f"zoo.dataset={name}"]), load_dataset(name).facts)


def again(name: str) -> PlannedDataset:
    return planned_dataset(name, None, None, load_dataset(name).content_sha256)


def trained(made: Plan, dataset: Dataset | PlannedDataset, out, executor) -> RunDirectory:
    run = RunDirectory(str(out))
    run.claim(made)
    assert train_zoo(made, dataset, run, executor).failures == ()
    return run


def weights(run: RunDirectory):
    return Zoo(run.root).weights()


def test_a_worker_reads_what_it_has_and_the_driver_does_not(mine, tmp_path, executor, monkeypatch, capfd):
    made, whole, planned = made_of(str(mine)), load_dataset(str(mine)), again(str(mine))
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: pytest.fail("was read by the driver"))
    run = trained(made, planned, tmp_path / "run", executor)
    assert "handed over" not in capfd.readouterr().err
    held = trained(made, whole, tmp_path / "held", InlineExecutor(Resources()))
    assert np.array_equal(weights(run), weights(held))


def test_what_a_worker_lacks_is_handed_over_by_the_driver_with_a_line(mine, tmp_path, executor, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)  # Ray's workers are elsewhere, as another machine's are
    name = "/proc/self/cwd/mine.npz"
    made = made_of(name)
    run = trained(made, again(name), tmp_path / "run", executor)
    assert f"dataset: is handed over by this process, since a worker says: {name}: no such file" in (
        capfd.readouterr().err
    )
    held = trained(made, load_dataset(name), tmp_path / "held", InlineExecutor(Resources()))
    assert np.array_equal(weights(run), weights(held))


def test_a_dataset_that_changes_after_it_was_planned_with_ends_the_run_before_a_group(mine, tmp_path, executor):
    made, planned = made_of(str(mine)), again(str(mine))
    write(mine, IMAGES[::-1])
    with pytest.raises(DataError, match="when it was planned with; leave a dataset as it is while a run trains"):
        trained(made, planned, tmp_path / "run", executor)
    assert RunDirectory(str(tmp_path / "run")).files.names("checkpoints") == []


def test_only_large_datasets_are_read_again_and_none_in_one_process(mine, tmp_path, monkeypatch):
    def kind(executor: str, *changes: str):
        options = Options("digits-demo", str(tmp_path / "run"), (*CHANGES, *changes), executor=executor)
        return prepare(options)[1]

    monkeypatch.chdir(tmp_path)
    assert isinstance(kind("ray", "zoo.dataset=./mine.npz"), Dataset)
    monkeypatch.setattr(workflow, "HANDED_OVER_BYTES", 0)
    assert isinstance(kind("inline", "zoo.dataset=./mine.npz"), Dataset)
    planned = kind("ray", "zoo.dataset=./mine.npz")
    assert planned == PlannedDataset(str(mine), None, None, load_dataset(str(mine)).content_sha256)
    assert kind("ray", f"zoo.dataset=file://{mine}") == planned
    assert kind("ray", "zoo.dataset=digits").dataset == "digits"
    resized = kind("ray", "zoo.dataset=./mine.npz", "zoo.model.image_side=6")
    assert resized.load().train_images.shape == (40, 1, 6, 6)
