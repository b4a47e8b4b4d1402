"""How well a fork is found without its siblings: every fork of the scenarios alone with its parent.

python -m benchmarks.pairs [--scenario NAME …] [--repeats 10] [--development] [--draws DIR]

Draws the scenarios with forks with the first of `BENCHMARK_SEEDS` (or of `DEVELOPMENT_SEEDS`), puts every fork into a
bag with nothing but its parent, and has the product analyse it, blind. MNIST's files are read from
`$ZOO_DATA_DIR/mnist/`; where that is not set, the scenario that needs them is left out, and the line says so. Prints a
line for every scenario, and one JSON line last.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.draws import draw, files_of_mnist, number_of_draws
from benchmarks.fit_forks import SCENARIOS
from benchmarks.machine import hardware
from benchmarks.recovered import Truth, figures
from benchmarks.recovery import analyzed, read
from zoo_pipeline.trajectories.scenarios import BENCHMARK_SEEDS, CATALOGUE, DEVELOPMENT_SEEDS, KnownBag


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", nargs="+", default=SCENARIOS, choices=SCENARIOS, metavar="NAME", help="scenarios")
    parser.add_argument("--repeats", type=number_of_draws, default=10, metavar="N", help="draws of each scenario")
    parser.add_argument("--development", action="store_true", help="seeds for development, not for publication")
    parser.add_argument("--draws", type=Path, metavar="DIR", help="keep the networks here, and take them from here")
    asked = parser.parse_args()
    seeds = (DEVELOPMENT_SEEDS if asked.development else BENCHMARK_SEEDS)[: asked.repeats]
    data_dir = files_of_mnist()
    left_out = [name for name in asked.scenario if CATALOGUE[name].needs_files and data_dir is None]
    results = {}
    for name in asked.scenario:
        if name not in left_out:
            drawn = [bag for seed in seeds for bag in draw(name, seed, None, data_dir, asked.draws).bags]
            results[name] = measure([pair for bag in drawn for pair in pairs(bag)])
            print(name, " ".join(f"{key} {value:.4g}" for key, value in results[name].items()), flush=True)
    print(
        json.dumps(
            {
                "seeds": [seeds.start, seeds.stop],
                "scenarios": results,
                "left_out": left_out,
                "machine": hardware("cpu"),
                "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "torch")},
            }
        )
    )


def pairs(bag: KnownBag) -> Iterator[KnownBag]:
    """Every fork of a bag with its parent, which is taken to continue nothing."""
    for fork in np.flatnonzero(bag.parent_model >= 0).tolist():
        parent = int(bag.parent_model[fork])
        both = bag.rows((bag.model_id == fork) | (bag.model_id == parent))
        yield replace(
            both,
            model_id=(both.model_id == fork).astype(np.int64),
            family=np.zeros(2, np.int64),
            parent_model=np.array([-1, 0]),
            parent_epoch=np.array([-1, bag.parent_epoch[fork]]),
        )


def measure(pairs_of: Sequence[KnownBag]) -> dict[str, float]:
    """Analyse pairs: how many there are, and the fractions whose paths are both exact, and whose fork's row is, too."""
    scores = [figures(Truth.of([pair]), read(analyzed(pair))) for pair in pairs_of]
    exact = [score["exact_trajectories"] == 1 for score in scores]
    fork = [one and score["fork_exact"] == 1 for one, score in zip(exact, scores, strict=True)]
    return {
        "pairs": len(scores),
        "both_exact": round(float(np.mean(exact)), 6),
        "and_fork_exact": round(float(np.mean(fork)), 6),
    }


if __name__ == "__main__":
    main()
