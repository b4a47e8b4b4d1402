"""Our own side: `zoo_pipeline.training` called directly, without Ray; and as the runtime does it, shards written."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks.trained import Trained
from benchmarks.works import Work
from zoo_pipeline.data import Dataset
from zoo_pipeline.training import Engine, GroupHistory, Member, calibrate, train_group

GROUP = 128  # models per shard


class OurTrainer:
    """A share of the models as one group, computed as calibration chooses."""

    def __init__(self, work: Work, dataset: Dataset, device: str) -> None:
        self._work = work
        self._dataset = dataset
        self._device = device
        self.engine = Engine()

    @property
    def choice(self) -> str:
        """How many models are stacked."""
        graphs = ", CUDA graphs" if self.engine.capture else ""
        return f"{self.engine.stack} models at once{graphs}"

    def warm_up(self, seeds: Sequence[int]) -> None:
        """Choose the engine, and train an epoch of all of them."""
        members = self._members(seeds, 1)
        self.engine, _ = calibrate(self._work.architecture, members, self._dataset, device=self._device)
        self.history(seeds, 1)

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train one model per seed."""
        history = self.history(seeds, epochs)
        return Trained(weights=history.weights, **history.metrics)

    def history(self, seeds: Sequence[int], epochs: int) -> GroupHistory:
        """Train one model per seed as one group."""
        members = self._members(seeds, epochs)
        return train_group(self._work.architecture, members, self._dataset, engine=self.engine, device=self._device)

    def _members(self, seeds: Sequence[int], epochs: int) -> list[Member]:
        return [Member(seed, replace(self._work.hyperparameters, epochs=epochs)) for seed in seeds]


class GroupTrainer:
    """A share of the models in groups of `GROUP`: kept in memory, or published as a worker of a run does."""

    def __init__(self, work: Work, dataset: Dataset, stored: bool) -> None:
        self._trainer = OurTrainer(work, dataset, "cpu")
        self._work = work
        self._dataset = dataset
        self._stored = stored

    @property
    def choice(self) -> str:
        """The groups, and what becomes of them."""
        return f"groups of {GROUP}, {'written' if self._stored else 'not written'}, {self._trainer.choice}"

    def warm_up(self, seeds: Sequence[int]) -> None:
        """Choose the engine for a group, and train an epoch of all of them, stored where that is asked for."""
        self._trainer.warm_up(seeds[:GROUP])
        self.train(seeds, 1)

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train one model per seed, group by group."""
        if self._stored:
            return self._publish(seeds, epochs)
        parts = [self._trainer.history(seeds[start : start + GROUP], epochs) for start in range(0, len(seeds), GROUP)]
        return Trained(
            np.concatenate([part.weights for part in parts]),
            **{name: np.concatenate([part.metrics[name] for part in parts]) for name in parts[0].metrics},
        )

    def _publish(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train and publish every group of a new run."""
        from zoo_pipeline.plan import plan  # these here, because a bare GPU machine has neither pydantic nor pyarrow
        from zoo_pipeline.recipes import load_config
        from zoo_pipeline.runtime.engine_choice import members_of
        from zoo_pipeline.runtime.group_task import GroupTask, train_and_publish
        from zoo_pipeline.store.rundir import RunDirectory

        population = f"zoo.population={{seeds: {len(seeds)}, first_seed: {seeds[0]}, group_size: {GROUP}}}"
        config = load_config("digits-demo", [population, f"zoo.training.epochs={epochs}"])
        made = plan(config, self._dataset.facts)
        assert made.architecture == self._work.architecture
        assert members_of(made.groups[0])[0].hyperparameters == replace(self._work.hyperparameters, epochs=epochs)
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a disk; /tmp may be memory
            run = RunDirectory(folder)
            run.claim(made)
            for group in made.groups:
                task = GroupTask(
                    root=folder,
                    group=group,
                    architecture=made.architecture,
                    members=members_of(group),
                    spec_hash=made.spec_hash,
                    dataset_sha256=made.facts.content_sha256 or "",
                    engine=asdict(self._trainer.engine),
                )
                train_and_publish(task, self._dataset, _say_nothing, device="cpu")
            return _read(folder, len(seeds))


def _say_nothing(news: object) -> None:
    """Progress is nobody's concern here."""


def _read(folder: str, models: int) -> Trained:
    """The metrics of a run; its weights stay on disk."""
    from zoo_pipeline.zoo import Zoo

    rows = Zoo(folder).checkpoints()
    names = ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
    return Trained(
        np.empty((models, 0, 0), dtype=np.float32),
        **{name: rows[name].to_numpy().reshape(models, -1) for name in names},
    )
