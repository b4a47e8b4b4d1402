"""What the protocol costs a run that nobody disturbs: the product against the same training with plain files.

Both sides train group by group in turn, in one process: the cores here change their speed by more, from one run to the
next, than the protocol takes.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from zoo_pipeline.config import Resources
from zoo_pipeline.data import Dataset, load_dataset
from zoo_pipeline.models import Layout
from zoo_pipeline.plan import Group, Plan, plan
from zoo_pipeline.recipes import load_config
from zoo_pipeline.runtime.engine_choice import members_of
from zoo_pipeline.runtime.executor import TRAINING, Outcome
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


class Clocks:
    """Wall and processor seconds of a stretch of work."""

    def __init__(self) -> None:
        self.wall_s = self.processor_s = 0.0

    def time(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Call `work(*arguments)`, and add what it takes."""
        wall, processor = time.perf_counter(), time.process_time()
        work(*arguments)
        self.wall_s += time.perf_counter() - wall
        self.processor_s += time.process_time() - processor


class _Between(InlineExecutor):
    """The inline executor, which calls something else beside every item: before one, after the next."""

    def __init__(self, beside: Callable[[int], None]) -> None:
        super().__init__(Resources())
        self._beside = beside

    def map_unordered(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        *shared: Any,
        memory_bytes: int = 0,  # noqa: ARG002
        work: str = TRAINING,  # noqa: ARG002
    ) -> Iterator[Outcome]:
        for number, item in enumerate(items):
            if number % 2:
                self._beside(number)
            yield from super().map_unordered(function, [item], *shared)
            if not number % 2:
                self._beside(number)


def measure_overhead(repeats: int, folder: Path) -> dict[str, Any]:
    """Time both sides; returns the figures of the JSON line.

    `overhead` is the median over the repeats of the ratio of the sides' wall times, less one.
    """
    dataset = load_dataset("digits")
    made = plan(load_config("digits-demo", SETTINGS), dataset.facts)
    wall, processor = [], []
    for repeat in range(repeats + 1):  # the first is for warming up
        shutil.rmtree(folder, ignore_errors=True)
        ours, plain = _both(made, dataset, folder)
        print(repeat, {"protocol": round(ours.wall_s, 2), "plain": round(plain.wall_s, 2)}, file=sys.stderr)
        if repeat:
            wall.append(ours.wall_s / plain.wall_s - 1)
            processor.append(ours.processor_s / plain.processor_s - 1)
    return {
        "groups": len(made.groups),
        "checkpoints": made.checkpoints,
        "overhead": round(median(wall), 4),
        "overheads": [round(ratio, 4) for ratio in wall],
        "processor_overhead": round(median(processor), 4),
        "processor_overheads": [round(ratio, 4) for ratio in processor],
    }


def _both(made: Plan, dataset: Dataset, folder: Path) -> tuple[Clocks, Clocks]:
    """Train the plan on both sides; returns the protocol's clocks, and those of the plain files."""
    whole, plain = Clocks(), Clocks()
    (folder / "plain" / "checkpoints").mkdir(parents=True)
    layout = Layout.of(made.architecture.tensors)

    def beside(number: int) -> None:
        plain.time(_plain, made, made.groups[number], dataset, layout, folder / "plain")

    whole.time(_with_protocol, made, dataset, str(folder / "protocol"), beside)
    whole.wall_s -= plain.wall_s
    whole.processor_s -= plain.processor_s
    return whole, plain


def _with_protocol(made: Plan, dataset: Dataset, root: str, beside: Callable[[int], None]) -> None:
    run = RunDirectory(root)
    run.claim(made)
    if train_zoo(made, dataset, run, _Between(beside)).failures:
        raise RuntimeError("a group failed")


def _plain(made: Plan, group: Group, dataset: Dataset, layout: Layout, place: Path) -> None:
    """The same models into a Parquet file of the same encoding, written straight to its name."""
    (part,) = group.ranges
    with torch_threads(1):
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
