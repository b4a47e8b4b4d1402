"""A tree that Ray Tune itself wrote, one `Trainable` per model as the published zoos were made, is imported."""

import json
from pathlib import Path

import numpy as np
import pytest
import ray
import torch

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.cli import main
from zoo_pipeline.data import load_dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.zoo import Zoo

tune = pytest.importorskip("ray.tune")

EPOCHS, SEEDS = 6, (1, 2, 3)
RATES = {"optim::optimizer": "adam", "optim::lr": 0.003, "training::batchsize": 64, "model::nlin": "tanh"}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """The folder that `tune.Tuner` leaves."""
    from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback

    from benchmarks.opponents import sequential
    from benchmarks.opponents import tune as opponent

    for name, value in opponent.SETTINGS.items():
        monkeypatch.setenv(name, value)

    class Trial(tune.Trainable):
        def setup(self, config):
            torch.set_num_threads(1)
            dataset = load_dataset("digits")
            self.arrays = [torch.tensor(array) for array in (dataset.train_images, dataset.train_labels)]
            self.tests = [torch.tensor(array) for array in (dataset.test_images, dataset.test_labels)]
            chosen = Hyperparameters(
                optimizer=config["optim::optimizer"], learning_rate=config["optim::lr"], batch_size=64, epochs=EPOCHS,
                activation=config["model::nlin"],
            )  # fmt: skip
            self.module = sequential.network(Architecture("mlp", (1, 8, 8), 10, (16,)), chosen, config["seed"])
            self.optimizer = sequential.optimiser(self.module, chosen, "foreach")
            self.orders = torch.Generator().manual_seed(config["seed"])
            self.begun = False

        def step(self):
            if self.begun:
                order = torch.randperm(len(self.arrays[0]), generator=self.orders)
                sequential.train_epoch(self.module, self.optimizer, *self.arrays, order, 64)
            self.begun = True
            train, test = (sequential.evaluate(self.module, *each) for each in (self.arrays, self.tests))
            return dict(zip(("train_loss", "train_acc", "test_loss", "test_acc"), (*train, *test), strict=True))

        def save_checkpoint(self, checkpoint_dir):
            torch.save(self.module.state_dict(), Path(checkpoint_dir) / "checkpoints")
            torch.save(self.optimizer.state_dict(), Path(checkpoint_dir) / "optimizer")

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        tune.Tuner(
            tune.with_resources(Trial, {"cpu": 1}),
            param_space={**RATES, "seed": tune.grid_search(list(SEEDS))},
            run_config=tune.RunConfig(
                name="experiment",
                storage_path=str(tmp_path / "results"),
                stop={"training_iteration": EPOCHS + 1},
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
                callbacks=[JsonLoggerCallback(), CSVLoggerCallback()],
                verbose=0,
            ),
        ).fit()
    finally:
        ray.shutdown()
    return tmp_path / "results"


@pytest.mark.long
def test_what_ray_tune_wrote_is_imported_to_the_bit_and_recovered(tree, tmp_path):
    run = tmp_path / "run"
    assert main(["import", str(tree), "--out", str(run), "--executor", "inline"]) == 0
    assert main(["analyze", str(run), "--executor", "inline"]) == 0
    summary = json.loads((run / "analysis/default/summary.json").read_text())
    for score in ("ari", "exact_trajectories", "order_exact", "direction_accuracy"):
        assert summary[score] == 1.0, score
    assert summary["claims"] == {"models": 3, "agree": 3}
    zoo = Zoo(str(run))
    rows, weights = zoo.checkpoints().to_pylist(), zoo.weights()
    models = {model["model_id"]: model for model in zoo.models.to_pylist()}
    assert len(rows) == len(SEEDS) * (EPOCHS + 1)
    assert sorted(model["seed"] for model in models.values()) == list(SEEDS)
    for model in models.values():
        trial = tree / model["name"]
        said = json.loads((trial / "params.json").read_text())
        assert (model["learning_rate"], model["optimizer"], model["activation"]) == (0.003, "adam", "tanh")
        assert (model["seed"], model["batch_size"]) == (said["seed"], said["training::batchsize"])
        lines = [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]
        for line in lines:
            (at,) = [
                at
                for at, row in enumerate(rows)
                if (row["model_id"], row["epoch"]) == (model["model_id"], line["training_iteration"] - 1)
            ]
            state = torch.load(trial / f"checkpoint_{rows[at]['epoch']:06d}" / "checkpoints", weights_only=True)
            flat = torch.cat([values.reshape(-1) for values in state.values()]).numpy()
            np.testing.assert_array_equal(weights[at], flat)
            for ours, theirs in (("train_loss", "train_loss"), ("test_accuracy", "test_acc")):
                assert rows[at][ours] == np.float32(line[theirs])
