"""A run as the raw tree of a Model Zoo (Schürholt et al., arXiv 2209.14764): an experiment of Ray Tune's, by trials.

Names and keys are those that the zoos' published generators write and their loaders read (ModelZoos/ModelZooDataset,
HSG-AIML/SANE). What they have no key for stands under `zoo::COLUMN`.
"""

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from math import prod
from typing import Any

import pyarrow as pa

TRAINABLE = "NN_tune_trainable"
CONFIG, PARAMS, RESULT, PROGRESS = "config.json", "params.json", "result.json", "progress.csv"
KEYS = {
    "architecture": "model::type",
    "hidden": "model::h_dim",
    "bias": "model::use_bias",
    "activation": "model::nlin",
    "dropout": "model::dropout",
    "initialisation": "model::init_type",
    "optimizer": "optim::optimizer",
    "learning_rate": "optim::lr",
    "weight_decay": "optim::wd",
    "momentum": "optim::momentum",
    "schedule": "optim::scheduler",
    "batch_size": "training::batchsize",
    "epochs": "training::epochs_train",
    "seed": "seed",
    "dataset": "dataset",
}
WORDS = {  # where the published zoos call a value otherwise
    "model::type": {"mlp": "MLP", "cnn-s": "CNN", "cnn-l": "CNN3", "resnet-18": "Resnet18"},
    "model::nlin": {"leaky_relu": "leakyrelu"},
    "optim::scheduler": {"onecycle": "OneCycleLR"},
}
METRICS = {
    "train_loss": "train_loss",
    "train_accuracy": "train_acc",
    "test_loss": "test_loss",
    "test_accuracy": "test_acc",
}
VALIDATION = {"validation_loss": "val_loss", "validation_accuracy": "val_acc"}  # of runs that have them
_OTHER = "zoo::"
_OF_ONE_MODEL = ("model_id", "model_key", "group", "split", "status")


def checkpoint_name(epoch: int) -> str:
    """Where the weights after an epoch lie in a trial.

    >>> checkpoint_name(7)
    'checkpoint_000007/checkpoints'
    """
    return f"checkpoint_{epoch:06d}/checkpoints"


def trial_id(model_id: int, spec_hash: str) -> str:
    """As Ray Tune has them: five digits of the experiment, and the number of the trial."""
    return f"{re.sub('[^0-9A-Za-z]', '', spec_hash)[:5]}_{model_id:05d}"


def trial_name(model_id: int, seed: int | None, spec: dict[str, Any]) -> str:
    """The folder of a model, named as Ray Tune names them, and the same whenever a run is exported.

    Args:
        model_id: of the model.
        seed: of the model; None where the run does not say.
        spec: the content of spec.json.

    Example:
        >>> trial_name(3, 4, {"spec_hash": "b59cf8478cd6", "created": "2026-11-27T12:00:00+00:00"})
        'NN_tune_trainable_b59cf_00003_3_seed=4_2026-11-27_12-00-00'
    """
    words = [TRAINABLE, trial_id(model_id, spec["spec_hash"]), str(model_id)]
    words += [f"seed={seed}"] if seed is not None else []
    created = _moment(spec.get("created"))
    return "_".join([*words, *([created.strftime("%Y-%m-%d_%H-%M-%S")] if created else [])])


def params(model: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """What Ray Tune's `params.json` holds of a model: its row of models.parquet, and what all have in common.

    Args:
        model: a row of models.parquet, without the metrics after the last epoch.
        spec: the content of spec.json.
    """
    columns = {name: value for name, value in model.items() if name not in METRICS}
    # Of a run that was imported from such a tree: what it had as its own is no longer so.
    found = {name: value for name, value in columns.items() if name.startswith(_OTHER)}
    found |= {KEYS.get(name, _OTHER + name): value for name, value in columns.items() if not name.startswith(_OTHER)}
    for key, words in WORDS.items():
        if found.get(key) in words:
            found[key] = words[found[key]]
    shape = spec.get("image_shape")
    if isinstance(shape, list) and shape:
        found["model::channels_in"] = shape[0]
        if model.get("architecture") == "mlp":
            found["model::i_dim"] = prod(shape)
    if "classes" in spec:
        found["model::o_dim"] = spec["classes"]
    return found


def experiment_config(configs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The experiment's `config.json`: what all models have, and `grid_search` with the values where they differ."""
    left_out = {_OTHER + name for name in _OF_ONE_MODEL}
    config: dict[str, Any] = {}
    for key in configs[0]:
        if key not in left_out:
            values = list({json.dumps(each[key], default=str): each[key] for each in configs}.values())
            config[key] = values[0] if len(values) == 1 else {"grid_search": values}
    return config


def results(model_id: int, rows: pa.Table, config: dict[str, Any], spec: dict[str, Any]) -> list[dict[str, Any]]:
    """What Ray Tune's `result.json` says of each epoch of a model; metrics are float32's exact values.

    Args:
        model_id: of the model.
        rows: its checkpoints' scalar columns, by epoch.
        config: as of `params`.
        spec: the content of spec.json.
    """
    return [
        {
            **{theirs: row[ours] for ours, theirs in METRICS.items()},
            **{theirs: row[ours] for ours, theirs in VALIDATION.items() if ours in row},
            "training_iteration": row["epoch"],
            "epoch": row["epoch"],
            "step": row["step"],
            "trial_id": trial_id(model_id, spec["spec_hash"]),
            "config": config,
        }
        for row in {row["epoch"]: row for row in rows.to_pylist() if row["epoch"] >= 0}.values()  # of copies, one
    ]


def result_json(found: Sequence[dict[str, Any]]) -> bytes:
    """A JSON object a line; what is not finite as Python and Ray Tune write it: NaN, Infinity."""
    return "".join(json.dumps(line, default=str) + "\n" for line in found).encode()


def progress_csv(found: Sequence[dict[str, Any]]) -> bytes:
    """The same as a table, without the configuration; empty where a metric was not measured."""
    names = [name for name in found[0] if name != "config"] if found else [*METRICS.values()]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue().encode()


def config_json(config: dict[str, Any]) -> bytes:
    """`params.json` of a trial, or `config.json` of the experiment."""
    return (json.dumps(config, indent=2, default=str) + "\n").encode()


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment
