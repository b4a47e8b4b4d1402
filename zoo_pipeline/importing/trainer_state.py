"""What the Trainer of Hugging Face says beside a checkpoint: metrics by step, of all steps up to this one.

Only those of the very step of a checkpoint are its own; `loss` is the mean since the Trainer last told one.
"""

import json
from collections.abc import Callable
from typing import Any

TRAINER = "trainer_state.json"
# What it calls what we have a column for.
COLUMNS = {"train_batch_size": "batch_size", "num_train_epochs": "epochs"}
METRICS = {"loss": "train_loss", "eval_loss": "validation_loss", "eval_accuracy": "validation_accuracy"}


def read_trainer_state(read: Callable[[str], bytes]) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """Hyperparameters, and what was measured by optimiser step, both by the names of our columns.

    Raises:
        StoreError: the file cannot be read.
        ValueError: it is not the Trainer's.
    """
    try:
        said = json.loads(read(TRAINER))
    except RecursionError:
        raise ValueError("is no JSON") from None
    lines = said.get("log_history") if isinstance(said, dict) else None
    if not isinstance(lines, list):
        raise ValueError("has no list log_history")
    measured: dict[int, dict[str, Any]] = {}
    for line in lines:
        if isinstance(line, dict) and type(step := line.get("step")) is int and step >= 0:
            found = {METRICS[name]: value for name, value in line.items() if name in METRICS}
            measured.setdefault(step, {}).update(found)
    return {COLUMNS[name]: value for name, value in said.items() if name in COLUMNS}, measured
