"""Ray Tune as the published zoos were generated: one `Trainable` per model, a checkpoint directory per epoch.

After the generators of Model Zoos (arXiv 2209.14764): every trial loads the data from a file, its first iteration only
evaluates, one iteration is one epoch, `checkpoint_freq=1`, one CPU per trial, actors not reused; a checkpoint is the
network's and the optimiser's state. An epoch itself is that of `benchmarks.opponents.sequential`.
"""

import logging
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from ray import tune
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback

from benchmarks.opponents.sequential import evaluate, network, optimiser, train_epoch
from benchmarks.workers import one_thread
from benchmarks.works import Work
from zoo_pipeline.data import Dataset

SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # JSON and CSV alone, as published; no TensorBoard
}


@dataclass(frozen=True)
class TuneRun:
    """What one run of Ray Tune did.

    Attributes:
        seconds: from the start of the tuner until its end; Ray was up before.
        seconds_in_steps: training and evaluation, summed over the trials: the rest is the start and end of trials,
            which longer training spreads over more epochs, and checkpoints and logs, which it does not.
        files: how many it left.
        test_accuracy: of every model after the last epoch, float32[models].
    """

    seconds: float
    seconds_in_steps: float
    files: int
    test_accuracy: NDArray[np.float32]


class ModelTrial(tune.Trainable):  # type: ignore[misc]  # Ray is not typed
    """One model."""

    def setup(self, config: dict[str, Any]) -> None:
        """Load the data and build the model."""
        torch.set_num_threads(1)
        work: Work = config["work"]
        self._hyperparameters = work.hyperparameters
        self._images, self._labels, self._test_images, self._test_labels = torch.load(config["data"])
        self._module = network(work.architecture, work.hyperparameters, config["seed"])
        self._optimizer = optimiser(self._module, work.hyperparameters, "foreach")
        self._orders = torch.Generator().manual_seed(config["seed"])
        self._trained_epochs = -1

    def step(self) -> dict[str, Any]:
        """One epoch; the first time only the evaluation."""
        self._trained_epochs += 1
        if self._trained_epochs:
            order = torch.randperm(len(self._images), generator=self._orders)
            batch_size = self._hyperparameters.batch_size
            train_epoch(self._module, self._optimizer, self._images, self._labels, order, batch_size)
        train_loss, train_accuracy = evaluate(self._module, self._images, self._labels)
        test_loss, test_accuracy = evaluate(self._module, self._test_images, self._test_labels)
        return {
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Two files, as published."""
        torch.save(self._module.state_dict(), Path(checkpoint_dir) / "checkpoints")
        torch.save(self._optimizer.state_dict(), Path(checkpoint_dir) / "optimizer")


def train_by_tune(work: Work, dataset: Dataset, models: int, workers: int) -> TuneRun:
    """Train one model per trial, as many trials at a time as there are workers; results go to a temporary place."""
    with tempfile.TemporaryDirectory() as folder, one_thread():
        os.environ.update(SETTINGS)
        data = Path(folder) / "dataset.pt"
        arrays = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
        torch.save([torch.tensor(array) for array in arrays], data)
        ray.init(
            address="local",
            num_cpus=workers,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        try:
            return _run(work, Path(folder) / "results", str(data), models)
        finally:
            ray.shutdown()


def _run(work: Work, place: Path, data: str, models: int) -> TuneRun:
    tuner = tune.Tuner(
        tune.with_resources(ModelTrial, {"cpu": 1}),
        param_space={"work": work, "data": data, "seed": tune.grid_search(list(range(models)))},
        tune_config=tune.TuneConfig(reuse_actors=False),
        run_config=tune.RunConfig(
            name="zoo",
            storage_path=str(place),
            stop={"training_iteration": work.hyperparameters.epochs + 1},
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
            callbacks=[JsonLoggerCallback(), CSVLoggerCallback()],
            verbose=0,
        ),
    )
    started = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - started
    if results.errors:
        raise RuntimeError(f"{len(results.errors)} trials failed; the first: {results.errors[0]}")
    metrics = [result.metrics for result in results]
    return TuneRun(
        seconds=seconds,
        seconds_in_steps=sum(metric["time_total_s"] for metric in metrics),
        files=sum(path.is_file() for path in place.rglob("*")),
        test_accuracy=np.array([metric["test_accuracy"] for metric in metrics], dtype=np.float32),
    )
