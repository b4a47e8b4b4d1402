"""Draws of scenarios kept in a folder, so that a change to the method need not train their networks again."""

import os
from argparse import ArgumentTypeError
from dataclasses import fields
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.scenarios import KnownBag, Scenario, make


def number_of_draws(text: str) -> int:
    """How many draws a command is asked for."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"got {text}, expected a whole number from 1 on")
    return int(text)


def files_of_mnist() -> Path | None:
    """The folder that `ZOO_DATA_DIR` names, which holds mnist/; None where it names none."""
    return Path(os.environ["ZOO_DATA_DIR"]) if os.environ.get("ZOO_DATA_DIR") else None


def draw(name: str, seed: int, starts: int | None, data_dir: Path | None, folder: Path | None) -> Scenario:
    """Read a draw from the folder, or make it and leave it there; without a folder, make it.

    The caller sees to it that the folder is of the scenarios as they are now.
    """
    if folder is None:
        return make(name, seed, starts=starts, data_dir=data_dir)
    kept = folder / f"{name}-{seed}{'' if starts is None else f'-{starts}'}.npz"
    if not kept.exists():
        _write(make(name, seed, starts=starts, data_dir=data_dir), kept)
    return _read(kept)


def _write(scenario: Scenario, path: Path) -> None:
    content: dict[str, Any] = {"name": scenario.name, "kind": scenario.kind, "seed": scenario.seed}
    for number, bag in enumerate(scenario.bags):
        content |= {f"{number}/{field.name}": getattr(bag, field.name) for field in fields(bag)}
        content[f"{number}/layout"] = bag.layout.to_json()
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".npz", delete=False) as file:
        np.savez(file, **content)
    Path(file.name).replace(path)


def _read(path: Path) -> Scenario:
    with np.load(path, allow_pickle=False) as content:
        bags = len({key.partition("/")[0] for key in content if "/" in key})
        return Scenario(
            str(content["name"]),
            str(content["kind"]),
            int(content["seed"]),
            tuple(_bag(content, number) for number in range(bags)),
        )


def _bag(content: Any, number: int) -> KnownBag:
    values = {field.name: content[f"{number}/{field.name}"] for field in fields(KnownBag)}
    return KnownBag(**values | {"layout": Layout.from_json(str(values["layout"]))})
