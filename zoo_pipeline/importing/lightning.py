"""What Lightning logs beside a folder of checkpoints: `hparams.yaml`, and the `metrics.csv` of its CSVLogger."""

import csv
import io
from collections.abc import Callable
from typing import Any

from zoo_pipeline.recipes import parse_yaml

HPARAMS, LOGGED = "hparams.yaml", "metrics.csv"


def read_hparams(read: Callable[[str], bytes]) -> dict[str, Any]:
    """Hyperparameters by the names that they have there; none of an empty file.

    Raises:
        ZooError: the file cannot be read, or is no YAML of plain values.
        ValueError: it is no mapping.
    """
    said = parse_yaml(read(HPARAMS), HPARAMS)
    if not isinstance(said, dict | None):
        raise ValueError(f"holds {type(said).__name__}, expected a mapping")
    return {str(name): value for name, value in (said or {}).items()}


def read_logged(read: Callable[[str], bytes]) -> dict[int, dict[str, str]]:
    """What was logged in each epoch, by the names that it has there; of several values in an epoch the last.

    A logger writes what it is told when it is told, so an epoch has several rows of which each says some.

    Raises:
        StoreError: the file cannot be read.
        ValueError: it is no such table.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read(LOGGED).decode())))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    measured: dict[int, dict[str, str]] = {}
    for row in rows:
        epoch = row.get("epoch")
        if isinstance(epoch, str) and epoch.isascii() and epoch.isdigit() and len(epoch) < 10:
            told = {str(name): value for name, value in row.items() if isinstance(value, str) and value}
            measured.setdefault(int(epoch), {}).update(told)
    return measured
