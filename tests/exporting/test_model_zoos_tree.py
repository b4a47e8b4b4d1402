import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from zoo_pipeline.config import Resources
from zoo_pipeline.exporting import trials
from zoo_pipeline.exporting.selection import select
from zoo_pipeline.exporting.target import Target
from zoo_pipeline.runtime.exporting import contents_of, export
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.store.schema import METRIC_NAMES
from zoo_pipeline.zoo import Zoo


@pytest.fixture(scope="module")
def experiment(small_run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("zoos") / "experiment"
    zoo = Zoo(str(small_run))
    target = Target(str(out), None, "model-zoos")
    export(zoo, select(contents_of(zoo)), target, InlineExecutor(Resources()), models=zoo.models)
    return out


def trial(experiment: Path, model_id: int) -> Path:
    (found,) = experiment.glob(f"NN_tune_trainable_*_{model_id:05d}_{model_id}_seed={model_id}_*")
    return found


def properties(path: Path, epoch: int, idx_offset: int) -> dict:
    """How the published loaders find what is told of an epoch (`read_properties_from_path`)."""
    with (path / "result.json").open() as file:
        return [json.loads(line) for line in file][epoch - idx_offset]


def test_the_published_loaders_find_what_they_look_for(experiment, small_run):
    zoo = Zoo(str(small_run))
    folders = [path for path in experiment.iterdir() if path.is_dir()]  # every folder is a trial to them
    assert len(folders) == 6
    for model_id in range(6):
        path = trial(experiment, model_id)
        for epoch in range(4):
            file = path.joinpath(f"checkpoint_{epoch:06d}", "checkpoints")
            state = torch.load(str(file), map_location=torch.device("cpu"), weights_only=True)
            flat = torch.cat([tensor.flatten() for tensor in state.values()]).numpy()
            assert flat.tobytes() == zoo.weights([model_id], [epoch]).tobytes()
            # They try the offset 1 or 0 first, and take the other where the iteration is not the epoch.
            told = properties(path, epoch, idx_offset=0)
            assert told["training_iteration"] == epoch
            assert told["config"]["model::type"] == "MLP"
            assert {"train_acc", "test_acc", "test_loss"} <= told.keys()
        params = json.loads((path / "params.json").read_text())
        assert params == told["config"]
        assert params["seed"] == model_id


def test_metrics_come_back_to_the_bit(experiment, small_run):
    zoo = Zoo(str(small_run))
    for model_id in (0, 5):
        expected = zoo.checkpoints([model_id]).select(METRIC_NAMES)
        lines = [json.loads(line) for line in (trial(experiment, model_id) / "result.json").read_text().splitlines()]
        with (trial(experiment, model_id) / "progress.csv").open() as file:
            table = list(csv.DictReader(file))
        assert len(lines) == len(table) == 4
        for ours, theirs in trials.METRICS.items():
            bits = expected[ours].to_numpy().tobytes()
            assert np.array([line[theirs] for line in lines], dtype=np.float32).tobytes() == bits
            assert np.array([float(row[theirs]) for row in table], dtype=np.float32).tobytes() == bits
        assert [int(row["step"]) for row in table] == [0, 23, 46, 69]


def test_hyperparameters_have_the_published_keys_and_words():
    model = {
        "model_id": 3, "seed": 9, "dataset": "svhn", "architecture": "cnn-l", "hidden": [], "bias": True,
        "activation": "leaky_relu", "initialisation": "kaiming_uniform", "optimizer": "adam", "learning_rate": 1e-4,
        "momentum": 0.0, "weight_decay": 0.01, "batch_size": 10, "epochs": 50, "schedule": "onecycle", "dropout": 0.5,
        "label_noise": 0.25, "test_loss": 1.0,
    }  # fmt: skip
    assert trials.params(model, {"image_shape": [3, 32, 32], "classes": 10}) == {
        "zoo::model_id": 3, "seed": 9, "dataset": "svhn", "model::type": "CNN3", "model::h_dim": [],
        "model::use_bias": True, "model::nlin": "leakyrelu", "model::init_type": "kaiming_uniform",
        "optim::optimizer": "adam", "optim::lr": 1e-4, "optim::momentum": 0.0, "optim::wd": 0.01,
        "training::batchsize": 10, "training::epochs_train": 50, "optim::scheduler": "OneCycleLR",
        "model::dropout": 0.5, "zoo::label_noise": 0.25, "model::channels_in": 3, "model::o_dim": 10,
    }  # fmt: skip
    mlp = trials.params({"architecture": "mlp"}, {"image_shape": [1, 8, 8]})
    assert mlp == {"model::type": "MLP", "model::channels_in": 1, "model::i_dim": 64}


def test_the_experiments_config_names_what_its_models_differ_in(experiment):
    config = json.loads((experiment / "config.json").read_text())
    assert config["seed"] == {"grid_search": [0, 1, 2, 3, 4, 5]}
    assert config["optim::lr"] == 0.001
    assert "zoo::model_key" not in config
    varied = trials.experiment_config([{"optim::lr": rate, "zoo::group": 0} for rate in (0.1, 0.01, 0.1)])
    assert varied == {"optim::lr": {"grid_search": [0.1, 0.01]}}


def test_what_was_not_measured_is_null_and_what_diverged_is_not_finite():
    rows = pa.table({
        "model_id": [0], "epoch": [1], "step": [5], "train_loss": [float("nan")], "train_accuracy": [None],
        "test_loss": [float("inf")], "test_accuracy": [0.5],
    })  # fmt: skip
    found = trials.results(0, rows, {}, {"spec_hash": "abcdefgh"})
    back = json.loads(trials.result_json(found))
    assert np.isnan(back["train_loss"])
    assert (back["train_acc"], back["test_loss"], back["trial_id"]) == (None, float("inf"), "abcde_00000")
    assert trials.progress_csv(found).decode().splitlines()[1] == "nan,,inf,0.5,1,1,5,abcde_00000"


@pytest.mark.parametrize(
    ("seed", "spec", "name"),
    [
        (None, {"spec_hash": "abcdef"}, "NN_tune_trainable_abcde_00003_3"),
        (4, {"spec_hash": "/../x", "created": "soon"}, "NN_tune_trainable_x_00003_3_seed=4"),
        (4, {"spec_hash": "abcdef", "created": "2026-11-27T13:00:00+01:00"},
         "NN_tune_trainable_abcde_00003_3_seed=4_2026-11-27_12-00-00"),
    ],
)  # fmt: skip
def test_a_trials_name_says_no_more_than_the_run_and_stays_in_the_folder(seed, spec, name):
    assert trials.trial_name(3, seed, spec) == name
