"""Where the randomness of a scenario comes from: its seed and a purpose, nothing else."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

DEVELOPMENT_SEEDS = range(1_000)  # for choosing thresholds, fitting weights, and tests
BENCHMARK_SEEDS = range(2_000, 3_000)  # for published figures alone; of those between, draws were once looked at
_NETWORKS_PER_SEED = 100_000  # seeds of networks that a scenario's seed has to itself


@dataclass(frozen=True)
class Seeding:
    """What decides one draw of a scenario.

    Attributes:
        seed: from 0; two draws of different seeds share no network's seed.
        starts: independent initialisations; None for the scenario's own number.
        data_dir: where MNIST's files are, see `zoo_pipeline.data.load_dataset`.
    """

    seed: int
    starts: int | None = None
    data_dir: Path | None = None

    def network_seeds(self, number: int, first: int = 0) -> range:
        """Seeds for `number` networks, from the `first` of this seed's own."""
        if not 0 <= first <= first + number <= _NETWORKS_PER_SEED:
            raise ValueError(f"starts: need {first + number:,} networks, expected at most {_NETWORKS_PER_SEED:,}")
        start = self.seed * _NETWORKS_PER_SEED + first
        return range(start, start + number)

    def generator(self, purpose: str) -> np.random.Generator:
        """A generator for everything but training; each purpose has its own."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])
