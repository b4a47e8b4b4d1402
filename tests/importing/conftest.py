"""Trees of checkpoint files, made of a small run."""

import json
from pathlib import Path

import pytest
import torch

from zoo_pipeline.zoo import Zoo


def state(zoo: Zoo, weights) -> dict[str, torch.Tensor]:
    """The tensors of one checkpoint."""
    return {name: torch.from_numpy(values.copy()) for name, values in zoo.layout.unflatten(weights).items()}


@pytest.fixture
def zoo(small_run) -> Zoo:
    """Six models of 1,210 weights, four checkpoints of each."""
    return Zoo(str(small_run))


@pytest.fixture
def tree(zoo, tmp_path) -> Path:
    """The zoo as Ray Tune leaves it: a folder for each trial, in it one for each checkpoint."""
    root = tmp_path / "tree"
    models = {model["model_id"]: model for model in zoo.models.to_pylist()}
    for row, weights in zip(zoo.checkpoints().to_pylist(), zoo.weights(), strict=True):
        trial = root / "experiment" / f"NN_tune_trainable_{row['model_id']:05d}"
        folder = trial / f"checkpoint_{row['epoch']:06d}"
        folder.mkdir(parents=True)
        torch.save(state(zoo, weights), folder / "checkpoints")
        torch.save({"state": {}, "param_groups": []}, folder / "optimizer")
        model = models[row["model_id"]]
        said = {"model::nlin": model["activation"], "optim::lr": model["learning_rate"], "seed": model["seed"]}
        (trial / "params.json").write_text(json.dumps({**said, "model::type": "MLP", "mixed": None}))
        line = {"training_iteration": row["epoch"], "train_loss": row["train_loss"], "train_acc": row["train_accuracy"]}
        line |= {"test_loss": row["test_loss"], "test_acc": row["test_accuracy"], "val_loss": 0.5, "hostname": "x"}
        with (trial / "result.json").open("a") as results:
            results.write(json.dumps(line) + "\n")
    return root
