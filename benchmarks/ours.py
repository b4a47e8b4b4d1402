"""Our own side: `zoo_pipeline.training` called directly, without Ray; and the same with its shards written."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.trained import Trained
from benchmarks.works import Work
from zoo_pipeline.architecture import CNNS
from zoo_pipeline.data import Dataset
from zoo_pipeline.models import Layout
from zoo_pipeline.training import GroupHistory, train_group

GROUP = 64  # models per shard


class OurTrainer:
    """A share of the models as one group."""

    def __init__(self, work: Work, dataset: Dataset, device: str) -> None:
        self._work = work
        self._dataset = dataset
        self._device = device
        # What the runtime chooses: on a CPU a stack of CNNs is slower than one CNN after another.
        self._stack = 1 if work.architecture.name in CNNS and device == "cpu" else None

    @property
    def choice(self) -> str:
        """How many models are stacked."""
        return f"{self._stack or 'all'} models stacked"

    def warm_up(self, seeds: Sequence[int]) -> None:
        """An epoch of all of them."""
        self.history(seeds, 1)

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train one model per seed."""
        history = self.history(seeds, epochs)
        return Trained(weights=history.weights, **history.metrics)

    def history(self, seeds: Sequence[int], epochs: int) -> GroupHistory:
        """Train one model per seed: the one place where training is called."""
        return train_group(
            self._work.architecture,
            replace(self._work.hyperparameters, epochs=epochs),
            seeds,
            self._dataset,
            device=self._device,
            stack=self._stack,
        )


class GroupTrainer:
    """A share of the models in groups of `GROUP`, each published as a shard, or not."""

    def __init__(self, work: Work, dataset: Dataset, stored: bool) -> None:
        self._trainer = OurTrainer(work, dataset, "cpu")
        self._layout = Layout.of(work.architecture.tensors)
        self._stored = stored

    @property
    def choice(self) -> str:
        """The groups, and what becomes of them."""
        return f"groups of {GROUP}, {'written' if self._stored else 'not written'}"

    def warm_up(self, seeds: Sequence[int]) -> None:
        """An epoch of all of them, stored where that is asked for."""
        self.train(seeds, 1)

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train one model per seed, group by group."""
        parts = []
        with tempfile.TemporaryDirectory() as folder:
            for start in range(0, len(seeds), GROUP):
                group = seeds[start : start + GROUP]
                history = self._trainer.history(group, epochs)
                if self._stored:
                    self._publish(Path(folder), start // GROUP, group, history)
                parts.append(history)
        return Trained(
            np.concatenate([part.weights for part in parts]),
            **{name: np.concatenate([part.metrics[name] for part in parts]) for name in parts[0].metrics},
        )

    def _publish(self, folder: Path, number: int, model_ids: Sequence[int], history: GroupHistory) -> None:
        from zoo_pipeline.store.filesystem import Files  # here, because a bare GPU machine has no pyarrow
        from zoo_pipeline.store.schema import encode_checkpoints
        from zoo_pipeline.store.shards import shard_table

        table = shard_table(
            np.array(model_ids, dtype=np.int32), history.steps, history.metrics, history.weights, self._layout, {}
        )
        Files(str(folder)).publish(f"checkpoints/group-{number:05d}.parquet", encode_checkpoints(table))
