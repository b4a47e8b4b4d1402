"""The two populations: trained by the product, read back as bags whose history is known."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo_pipeline.errors import ZooError
from zoo_pipeline.trajectories.scenarios import KnownBag
from zoo_pipeline.workflow import Options, train
from zoo_pipeline.zoo import Zoo


@dataclass(frozen=True)
class Population:
    """Networks of one architecture that differ by their seeds.

    Attributes:
        recipe: what they are, all but the three fields below.
        models: number of seeds.
        epochs: that each is trained for.
        groups: trained as so many tasks, at least.
    """

    recipe: str
    models: int
    epochs: int
    groups: int

    def trained(self, place: Path, data_dir: Path | None, executor: str) -> KnownBag:
        """Train what is missing in a run directory, and read all of it, shuffled.

        Raises:
            ZooError: the directory holds something else, or training failed.
        """
        overrides = {
            "zoo.dataset": "mnist-10k",
            "zoo.training.epochs": self.epochs,
            "zoo.population.seeds": self.models,
            "zoo.population.group_size": -(-self.models // self.groups),
        }
        report = train(
            Options(
                self.recipe,
                str(place),
                tuple(f"{key}={value}" for key, value in overrides.items()),
                data_dir,
                resume=place.exists(),
                executor=executor,
            )
        )
        if report.failures or report.diverged_models:
            raise ZooError(f"{place}: {len(report.failures)} groups failed, {report.diverged_models} models diverged")
        zoo = Zoo(str(place))
        rows = zoo.checkpoints()
        strangers = np.full(self.models, -1)
        bag = KnownBag(
            weights=zoo.weights(),
            layout=zoo.layout,
            model_id=rows["model_id"].to_numpy().astype(np.int64),
            epoch=rows["epoch"].to_numpy().astype(np.int64),
            identifiable=np.ones(len(rows), bool),
            family=np.arange(self.models),
            parent_model=strangers,
            parent_epoch=strangers,
        )
        return bag.shuffled(np.random.default_rng(0))  # no side may learn from the order of the rows
