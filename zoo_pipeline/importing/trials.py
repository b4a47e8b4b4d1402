"""What lies beside the checkpoints of a training run: its hyperparameters, and its metrics by epoch or step.

Of a trial of Ray Tune `params.json` has the hyperparameters, as the published zoos write them (`model::nlin`,
`optim::lr`, `seed`); `result.json` has the metrics, an object a line, and `progress.csv` the same as a table. The
Trainer of Hugging Face writes `trainer_state.json`, Lightning `hparams.yaml` and `metrics.csv`.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.importing.lightning import HPARAMS, LOGGED, read_hparams, read_logged
from zoo_pipeline.importing.stamps import printable
from zoo_pipeline.importing.trainer_state import TRAINER, read_trainer_state
from zoo_pipeline.store.schema import METRIC_NAMES, MODELS

PARAMS, RESULTS, TABLE = "params.json", "result.json", "progress.csv"
BESIDE = frozenset((PARAMS, RESULTS, TABLE, TRAINER, HPARAMS, LOGGED))
ITERATION, FOLDER, STEP = "training_iteration", "checkpoint_dir_name", "step"
# What the published zoos call what we have a column for.
COLUMNS = {
    "seed": "seed",
    "model::nlin": "activation",
    "model::dropout": "dropout",
    "model::init_type": "initialisation",
    "optim::optimizer": "optimizer",
    "optim::lr": "learning_rate",
    "optim::wd": "weight_decay",
    "optim::momentum": "momentum",
    "training::batchsize": "batch_size",
    "training::epochs_train": "epochs",
    "lr": "learning_rate",
}
METRICS = {
    "train_loss": "train_loss",
    "train_acc": "train_accuracy",
    "test_loss": "test_loss",
    "train_accuracy": "train_accuracy",
    "test_acc": "test_accuracy",
    "test_accuracy": "test_accuracy",
    "val_loss": "validation_loss",
    "val_acc": "validation_accuracy",
    "validation_loss": "validation_loss",
    "validation_acc": "validation_accuracy",
    "validation_accuracy": "validation_accuracy",
}
OWN = "zoo::"
# Columns that an import has of its own, whatever the same model was called elsewhere.
OF_AN_IMPORT = ("model_id", "model_key", "group", "name", "split", "status", *METRIC_NAMES)
Metrics = dict[int, dict[str, float]]


@dataclass(frozen=True)
class TrialNotes:
    """What is known of one training run besides its weights.

    Attributes:
        hyperparameters: by the names of our columns where we have one, else by their own.
        metrics: by epoch and the names of our columns.
        steps: optimiser steps taken, by epoch.
        by_step: metrics by optimiser step, where these are what is counted.
        troubles: what of it cannot be read.
    """

    hyperparameters: dict[str, Any] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)
    by_step: Metrics = field(default_factory=dict)
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialPlace:
    """Where the hyperparameters and metrics of a model lie.

    Attributes:
        origin: its number.
        epochs: of all checkpoints of the model, wherever they go.
        folder: of the files below.
        present: names of those that are there.
        trainer: folder of the trainer_state.json that tells of the most steps; empty where there is none.
    """

    origin: int
    epochs: frozenset[int]
    folder: str = ""
    present: frozenset[str] = frozenset()
    trainer: str = ""


def read_trial(read: Callable[[str], bytes], present: frozenset[str], epochs: Set[int] = frozenset()) -> TrialNotes:
    """Read what lies beside the checkpoints.

    A line belongs to the checkpoint that it names (`checkpoint_dir_name`), as Ray does from version 2.7 on; else to
    that of its `training_iteration`, or where Ray counts checkpoints from 0 and iterations from 1, to the one before.
    Without both it belongs to the checkpoint of its `step`.

    Args:
        read: the bytes of a file of the trial's folder.
        present: names of the files that are there, of BESIDE.
        epochs: the numbers of the trial's checkpoints.
    """
    troubles: list[str] = []
    hyperparameters: dict[str, Any] = {}
    if PARAMS in present:
        try:
            said = json.loads(read(PARAMS))
            if not isinstance(said, dict):
                raise ValueError(f"holds {type(said).__name__}, expected an object")
            hyperparameters = _columns(said)
        except (StoreError, ValueError, RecursionError) as error:
            troubles.append(f"{PARAMS}: {error}")
    metrics, by_step = _logged(read, present, hyperparameters, troubles)
    named: dict[int, dict[str, Any]] = {}
    counted: dict[int, dict[str, Any]] = {}
    for line in _lines(read, present, troubles):
        folder = re.fullmatch(r"checkpoint_(\d{1,9})", str(line.get(FOLDER)))
        if folder:
            named[int(folder[1])] = line
        elif (iteration := _whole(line.get(ITERATION))) is not None:
            counted[iteration] = line
        elif ITERATION not in line and (step := _whole(line.get(STEP))) is not None:
            by_step[step] = _metrics(line)
    lines = named or counted
    if not named and not epochs <= counted.keys() and {epoch + 1 for epoch in epochs} <= counted.keys():
        lines = {iteration - 1: line for iteration, line in counted.items() if iteration}
    return TrialNotes(
        hyperparameters,
        metrics | {epoch: _metrics(line) for epoch, line in lines.items()},
        {epoch: step for epoch, line in lines.items() if (step := _whole(line.get(STEP))) is not None},
        by_step,
        tuple(troubles),
    )


def _logged(
    read: Callable[[str], bytes], present: frozenset[str], hyperparameters: dict[str, Any], troubles: list[str]
) -> tuple[Metrics, Metrics]:
    """Metrics by epoch, as Lightning has them, and by step, as Hugging Face's Trainer does.

    Args:
        read: as of `read_trial`, as is the next.
        present: names of files.
        hyperparameters: those of both are added to these.
        troubles: what cannot be read is added to these.
    """
    metrics, by_step = {}, {}
    if HPARAMS in present:
        try:
            _add(hyperparameters, _columns(read_hparams(read)))
        except ConfigError as error:
            troubles.append(str(error))
        except (StoreError, ValueError) as error:
            troubles.append(f"{HPARAMS}: {error}")
    if LOGGED in present:
        try:
            for epoch, told in read_logged(read).items():
                plain = {name.replace("/", "_").removesuffix("_epoch"): value for name, value in told.items()}
                metrics[epoch] = _metrics({name: _number(value) for name, value in plain.items()})
        except (StoreError, ValueError) as error:
            troubles.append(f"{LOGGED}: {error}")
    if TRAINER in present:
        try:
            own, measured = read_trainer_state(read)
            _add(hyperparameters, own)
            by_step = {step: _numbers(values) for step, values in measured.items()}
        except (StoreError, ValueError) as error:
            troubles.append(f"{TRAINER}: {error}")
    return metrics, by_step


def _add(known: dict[str, Any], more: dict[str, Any]) -> None:
    """Add what is not known yet."""
    known |= {name: value for name, value in more.items() if name not in known}


def _columns(said: dict[str, Any]) -> dict[str, Any]:
    """Hyperparameters by the names of our columns; one keeps its own where another has that name already."""
    found: dict[str, Any] = {}
    for name, value in said.items():
        ours = _column(str(name))
        found[printable(str(name)) if ours in found or (ours != name and ours in said) else ours] = value
    return found


def _column(key: str) -> str:
    """What a hyperparameter is called here; our exports have a prefix where the published zoos have no key."""
    own = key.removeprefix(OWN)
    return own if own != key and own in MODELS.names and own not in OF_AN_IMPORT else COLUMNS.get(key, printable(key))


def _metrics(line: dict[str, Any]) -> dict[str, float]:
    return _numbers({METRICS[name]: value for name, value in line.items() if name in METRICS})


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {name: _float(value) for name, value in values.items() if _is_number(value)}


def _whole(value: Any) -> int | None:
    """A whole number from 0 on; a table has it as a float."""
    if isinstance(value, float):
        return int(value) if value >= 0 and value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _lines(read: Callable[[str], bytes], present: frozenset[str], troubles: list[str]) -> Iterator[dict[str, Any]]:
    """The lines of result.json, or where there is none, of progress.csv; a trial that was stopped may lack its last."""
    if RESULTS in present:
        try:
            text = read(RESULTS).decode()
        except (StoreError, UnicodeDecodeError) as error:
            troubles.append(f"{RESULTS}: {error}")
            return
        for number, line in enumerate(text.split("\n"), 1):
            try:
                said = json.loads(line) if line.strip() else {}
            except (ValueError, RecursionError):
                troubles.append(f"{RESULTS}: line {number} is no JSON")
                continue
            if isinstance(said, dict):
                yield said
    elif TABLE in present:
        try:
            rows = list(csv.DictReader(io.StringIO(read(TABLE).decode())))
        except (StoreError, UnicodeDecodeError, csv.Error) as error:
            troubles.append(f"{TABLE}: {error}")
            return
        yield from ({str(name): _number(text) for name, text in row.items()} for row in rows)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(text: Any) -> Any:
    try:
        return float(text)
    except (TypeError, ValueError):
        return text


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf
