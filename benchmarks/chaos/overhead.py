"""What the protocol costs a run that nobody disturbs: the product against the same training with plain files."""

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from zoo_pipeline.config import Resources
from zoo_pipeline.data import Dataset, load_dataset
from zoo_pipeline.models import Layout
from zoo_pipeline.plan import Plan, plan
from zoo_pipeline.recipes import load_config
from zoo_pipeline.runtime.engine_choice import members_of
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.runtime.threads import torch_threads
from zoo_pipeline.runtime.training import train_zoo
from zoo_pipeline.store.rows import RangeRows
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.schema import encode_checkpoints
from zoo_pipeline.store.shards import shard_table
from zoo_pipeline.training import Engine, GroupTraining

SETTINGS = ("zoo.population.seeds=1024", "resources={stack: 16, threads: 1}")  # digits-demo with 64 groups of 16
ENGINE = Engine(threads=1, stack=16, capture=False)


def measure_overhead(repeats: int, folder: Path) -> dict[str, Any]:
    """Time both sides in turn, in this process; returns the figures of the JSON line.

    `overhead` is the median over the repeats of the ratio of the two that ran one after the other, less one.
    """
    dataset = load_dataset("digits")
    made = plan(load_config("digits-demo", SETTINGS), dataset.facts)
    sides: dict[str, Callable[[Plan, Dataset, Path], None]] = {"protocol": _with_protocol, "plain": _plain}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for repeat in range(repeats + 1):  # the first is for warming up
        order = list(sides) if repeat % 2 else list(sides)[::-1]
        for side in order:
            place = folder / side
            shutil.rmtree(place, ignore_errors=True)
            started = time.perf_counter()
            sides[side](made, dataset, place)
            if repeat:
                seconds[side].append(time.perf_counter() - started)
        print(repeat, {side: round(values[-1], 2) for side, values in seconds.items() if values}, file=sys.stderr)
    ratios = [ours / plain for ours, plain in zip(seconds["protocol"], seconds["plain"], strict=True)]
    return {
        "groups": len(made.groups),
        "checkpoints": made.checkpoints,
        "seconds": {side: [round(second, 3) for second in values] for side, values in seconds.items()},
        "overhead": round(median(ratios) - 1, 4),
        "overheads": [round(ratio - 1, 4) for ratio in ratios],
    }


def _with_protocol(made: Plan, dataset: Dataset, place: Path) -> None:
    run = RunDirectory(str(place))
    run.claim(made)
    if train_zoo(made, dataset, run, InlineExecutor(Resources())).failures:
        raise RuntimeError("a group failed")


def _plain(made: Plan, dataset: Dataset, place: Path) -> None:
    """The same models into Parquet files of the same encoding, written straight to their names."""
    (place / "checkpoints").mkdir(parents=True)
    layout = Layout.of(made.architecture.tensors)
    with torch_threads(1):
        for group in made.groups:
            (part,) = group.ranges
            training = GroupTraining(made.architecture, members_of(group), dataset, ENGINE, "cpu")
            rows = RangeRows(len(group.models), part.first, part.epochs, layout.dimension, 0)
            while True:
                checkpoint = training.checkpoint()
                rows.add(checkpoint.step, checkpoint.weights, checkpoint.metrics, checkpoint.buffers)
                if training.epoch == part.last:
                    break
                training.advance()
            ids = np.array([model.model_id for model in group.models], dtype=np.int32)
            (place / part.shard).write_bytes(encode_checkpoints(shard_table(ids, rows, layout, {})))
