"""Our own side: `zoo_pipeline.training` called directly, without Ray; and the same with its shards written."""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from benchmarks.trained import Trained
from benchmarks.works import Work
from zoo_pipeline.data import Dataset
from zoo_pipeline.training import METRICS, Engine, GroupHistory, Member, calibrate, train_group

GROUP = 64  # models per shard
GROUP_ENGINE = Engine(stack=32)  # of both sides whose difference is the storage
RECIPE = "digits-demo"  # trains as the work "digits", the one whose shards are written


class OurTrainer:
    """A share of the models as one group, computed as the calibration of a run chooses."""

    def __init__(
        self, work: Work, dataset: Dataset, models: int, device: str = "cpu", engine: Engine | None = None
    ) -> None:
        self._work = work
        self._dataset = dataset
        self._device = device
        self.engine: Engine = (
            engine or calibrate(work.architecture, self._members(range(models), 1), dataset, device=device)[0]
        )

    @property
    def choice(self) -> str:
        """How many models are stacked, and whether steps are replayed as CUDA graphs."""
        return f"{self.engine.stack or 'all'} models stacked{', captured' if self.engine.capture else ''}"

    def warm_up(self, seeds: Sequence[int]) -> None:
        """An epoch of all of them."""
        self.history(seeds, 1)

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train one model per seed."""
        history = self.history(seeds, epochs)
        return Trained(weights=history.weights, **history.metrics)

    def history(self, seeds: Sequence[int], epochs: int) -> GroupHistory:
        """Train one model per seed: the one place where training is called."""
        members = self._members(seeds, epochs)
        return train_group(self._work.architecture, members, self._dataset, engine=self.engine, device=self._device)

    def _members(self, seeds: Sequence[int], epochs: int) -> list[Member]:
        return [Member(seed, replace(self._work.hyperparameters, epochs=epochs)) for seed in seeds]


class UnstoredTrainer:
    """A share of the models in groups of `GROUP`, whose checkpoints stay in memory."""

    def __init__(self, work: Work, dataset: Dataset, models: int) -> None:
        self._trainer = OurTrainer(work, dataset, min(GROUP, models), engine=GROUP_ENGINE)

    @property
    def choice(self) -> str:
        """The groups, and how each is trained."""
        return f"groups of {GROUP} in memory, {self._trainer.choice}"

    def warm_up(self, seeds: Sequence[int]) -> None:
        """An epoch of all of them."""
        self.train(seeds, 1)

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train one model per seed, group by group."""
        groups = [self._trainer.history(seeds[start : start + GROUP], epochs) for start in range(0, len(seeds), GROUP)]
        return Trained(
            np.concatenate([group.weights for group in groups]),
            **{name: np.concatenate([group.metrics[name] for group in groups]) for name in METRICS},
        )


class StoredTrainer:
    """As many models in the same groups, planned by a recipe, trained and published as the tasks of a run do it."""

    def __init__(self, work: Work, dataset: Dataset, models: int) -> None:
        self._dataset = dataset
        self._trainer = OurTrainer(work, dataset, min(GROUP, models), engine=GROUP_ENGINE)

    @property
    def choice(self) -> str:
        """The groups, and how each is trained."""
        return f"groups of {GROUP} written, {self._trainer.choice}"

    def warm_up(self, seeds: Sequence[int]) -> None:
        """An epoch of all of them, stored."""
        self.train(seeds, 1)

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train as many models as there are seeds; the seeds themselves are the recipe's, and the weights on disk."""
        from zoo_pipeline.planning import planned
        from zoo_pipeline.runtime.engine_choice import members_of  # here: a bare GPU machine has no pydantic
        from zoo_pipeline.runtime.group_task import GroupTask, train_and_publish
        from zoo_pipeline.store.rundir import RunDirectory
        from zoo_pipeline.store.shards import open_shard

        population = (f"zoo.population.seeds={len(seeds)}", f"zoo.population.group_size={GROUP}")
        (plan,) = planned(RECIPE, (*population, f"zoo.training.epochs={epochs}"))
        trained = Trained.empty(len(seeds), epochs, dimension=0)
        with tempfile.TemporaryDirectory() as folder:
            run = RunDirectory(f"{folder}/run")
            run.claim(plan)
            for group in plan.groups:
                task = GroupTask(
                    root=run.root,
                    group=group,
                    architecture=plan.architecture,
                    members=members_of(group),
                    spec_hash=plan.spec_hash,
                    dataset_sha256=self._dataset.content_sha256,
                    engine=asdict(self._trainer.engine),
                )
                result = train_and_publish(task, self._dataset, lambda _: None, device="cpu")
                (record,) = result.records
                with open_shard(run.files, record.shard) as shard:
                    rows = shard.read(columns=list(METRICS), use_threads=False)
                at = slice(group.models[0].model_id, group.models[-1].model_id + 1)
                for name in METRICS:
                    getattr(trained, name)[at] = rows[name].to_numpy().reshape(len(group.models), epochs + 1)
        return trained
