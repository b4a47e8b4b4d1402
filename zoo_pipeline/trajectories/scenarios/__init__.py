"""Scenarios: bags of checkpoints with a known history, for tests, benchmarks and documentation alike.

    >>> from zoo_pipeline.trajectories.scenarios import make
    >>> (bag,) = make("tetris-adam", seed=3, starts=2).bags
    >>> bag.weights.shape, bag.models
    ((102, 100), 2)

Every scenario is a small zoo that is really trained, on the CPU, within seconds: `names()` lists them, `CATALOGUE` says
what each is. A seed decides everything: initialisations, data orders, what goes missing, and how the rows lie; other
seeds have nothing in common with it. `DEVELOPMENT_SEEDS` are for choosing and fitting and for tests, `BENCHMARK_SEEDS`
for figures that are published, and for nothing else.
"""

from zoo_pipeline.trajectories.scenarios.catalogue import CATALOGUE
from zoo_pipeline.trajectories.scenarios.known import KnownBag
from zoo_pipeline.trajectories.scenarios.scenario import Scenario, kinds, make, names
from zoo_pipeline.trajectories.scenarios.seeding import BENCHMARK_SEEDS, DEVELOPMENT_SEEDS

__all__ = [
    "BENCHMARK_SEEDS",
    "CATALOGUE",
    "DEVELOPMENT_SEEDS",
    "KnownBag",
    "Scenario",
    "kinds",
    "make",
    "names",
]
