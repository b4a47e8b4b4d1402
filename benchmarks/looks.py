"""How many chances two unrelated trajectories have to look related: what `LOOKS` of the separation rests on.

python -m benchmarks.looks [--seeds 0 1] [--zoo NAME …]

Trains the scenarios of `zoo_pipeline.trajectories.scenarios` whose models are all unrelated, with seeds for
development. Of pairs of models the checkpoints that are most alike are found; the *looks* of a zoo are as many
independent pairs of networks as are so much alike at their most, by the ninth decile over the pairs of models
(`benchmarks.scores.looks_of`). One value decides the largest of all, so that its looks are told for all zoos together:
as many per pair of models as make a larger one as likely as not. MNIST's files are read from `$ZOO_DATA_DIR/mnist/`;
where that is not set, the zoos that need them are left out. Prints a line for every zoo, and one JSON line last.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import log
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.draws import files_of_mnist
from benchmarks.machine import hardware
from benchmarks.scores import looks_of, most_alike
from zoo_pipeline.trajectories.scenarios import CATALOGUE, KnownBag, make
from zoo_pipeline.trajectories.separation import LOOKS

ZOOS = {  # models of each, or starts, each of which has a model for every point of a grid
    "digits-sgd": 24,
    "digits-adam": 24,
    "deep-adam": 24,
    "tetris-adam": 24,
    "mnist-sgd": 12,
    "cnn-sgd": 12,
    "cnn-adam": 12,
    "grid": 1,
    "scales-sgd": 5,
    "scales-adam": 5,
    "decay-sgd": 24,
    "decay-adam": 24,
    "decay-adamw": 24,
    "warm-restarts": 24,
}
PAIRS = 200  # of models, whose checkpoints are all compared
_HALF = 0.5


@dataclass(frozen=True)
class Alike:
    """How alike unrelated models of one zoo are at their most.

    Attributes:
        zoo: its name.
        seed: of its models.
        models: how many there are.
        checkpoints: of each.
        pairs: of models that were compared.
        ninth_decile: over these pairs, of the highest score between their checkpoints.
        looks: independent scores whose highest has this ninth decile.
        largest: of these pairs.
    """

    zoo: str
    seed: int
    models: int
    checkpoints: int
    pairs: int
    ninth_decile: float
    looks: float
    largest: float

    @classmethod
    def of(cls, zoo: str, seed: int, bag: KnownBag) -> Self:
        """Compare the models of a bag, all of which have as many checkpoints and starts of their own."""
        path = np.lexsort((bag.epoch, bag.model_id)).reshape(bag.models, -1)
        most = most_alike(bag, path, pairs_of_models(bag.models, seed))
        return cls(
            zoo,
            seed,
            bag.models,
            path.shape[1],
            len(most),
            ninth_decile=round(float(np.quantile(most, 0.9)), 2),
            looks=round(looks_of(most), 1),
            largest=round(float(most.max()), 2),
        )

    def line(self) -> str:
        """For a person."""
        return (
            f"{self.zoo:<15} seed {self.seed}  {self.models:>4} models  ninth decile {self.ninth_decile:5.2f} "
            f"({self.looks:4.1f} looks)  largest of {self.pairs} {self.largest:5.2f}"
        )


def main() -> None:
    """Train, compare, print a line for every zoo and one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the zoos, for development")
    parser.add_argument("--zoo", nargs="+", choices=ZOOS, default=list(ZOOS), metavar="NAME", help="only these")
    asked = parser.parse_args()
    data_dir = files_of_mnist()
    left_out = [name for name in asked.zoo if CATALOGUE[name].needs_files and data_dir is None]
    found = []
    for name in asked.zoo:
        for seed in asked.seeds if name not in left_out else []:
            (bag,) = make(name, seed, starts=ZOOS[name], data_dir=data_dir).bags
            found.append(Alike.of(name, seed, bag))
            print(found[-1].line(), flush=True)
    result = {
        "zoos": [asdict(alike) for alike in found],
        "looks_most": max((alike.looks for alike in found), default=None),
        "pairs": sum(alike.pairs for alike in found),
        "largest": max((alike.largest for alike in found), default=None),
        "looks_of_largest": looks_of_largest(found),
        "frozen": LOOKS,
        "left_out": left_out,
        "machine": hardware("cpu"),
        "versions": {name: version(name) for name in ("numpy", "scipy", "torch")},
    }
    print(json.dumps(result))


def looks_of_largest(found: Sequence[Alike]) -> float | None:
    """Independent scores per pair of models of which one is larger than the largest found as often as not."""
    if not found:
        return None
    pairs, largest = sum(alike.pairs for alike in found), max(alike.largest for alike in found)
    return round(log(_HALF) / (pairs * float(norm.logcdf(largest))), 1)


def pairs_of_models(models: int, seed: int) -> NDArray[np.int64]:
    """Different pairs of models, int64[≤ `PAIRS`, 2]: all, or so many by chance.

    >>> pairs_of_models(3, 0).tolist()
    [[0, 1], [0, 2], [1, 2]]
    """
    pairs = np.stack(np.triu_indices(models, 1), axis=1)
    if len(pairs) <= PAIRS:
        return pairs
    return pairs[np.sort(np.random.default_rng(seed).choice(len(pairs), PAIRS, replace=False))]


if __name__ == "__main__":
    main()
