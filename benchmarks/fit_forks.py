"""Fit what tells where a branch left its parent and which of the two went on there; score it on other draws.

ZOO_DATA_DIR=… python -m benchmarks.fit_forks [--draws DIR] [--unseen] [--out FILE]

Learns from the scenarios with forks, drawn with development seeds, and from zoos with forks whose hyperparameters are
drawn at random. At every fork of a true tree, of the same tree with branch and rest of the parent exchanged, and where
a path is torn at random, a softmax over all rows of the family that do not come after the branch is fitted to the row
it left; its scores are a network's of one hidden layer (`Judgement`). Another is fitted to who of two went on.

Writes the networks (`judgements.json` of `trajectories/branching/`); prints how often each names the right one on other
seeds of the scenarios, beside the nearest row; with `--unseen` the same when fitted to the random zoos alone; and one
JSON line last. Takes half an hour on two cores, an hour with `--unseen`.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.draws import draw, files_of_mnist
from benchmarks.fork_examples import Fork, forks
from benchmarks.fork_zoos import train_zoo
from zoo_pipeline.trajectories.branching.judgement import Judgement
from zoo_pipeline.trajectories.scenarios import CATALOGUE, DEVELOPMENT_SEEDS

Floats = NDArray[np.float64]
Fitted = tuple[Judgement, Judgement, Judgement]

SCENARIOS = tuple(name for name, entry in CATALOGUE.items() if entry.kind == "forks")
FITTED = DEVELOPMENT_SEEDS[10:22]
SCORED = DEVELOPMENT_SEEDS[:3]
RANDOM = DEVELOPMENT_SEEDS[400:560]
HIDDEN = 32
RIDGE = 1e-4
_STEPS = 800  # of the search, at most
_DIGITS = 5


def main() -> None:
    """Fit, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=Path, metavar="DIR", help="keep the scenarios' networks here, and take them")
    parser.add_argument("--unseen", action="store_true", help="fit to the random zoos alone, too")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the networks here")
    asked = parser.parse_args()
    started = time.perf_counter()
    data_dir = files_of_mnist()
    names = [name for name in SCENARIOS if data_dir is not None or not CATALOGUE[name].needs_files]
    random = [fork for seed in RANDOM if (bag := train_zoo(seed, data_dir)) is not None for fork in forks(bag, seed)]

    def of_scenario(name: str, seeds: Sequence[int]) -> list[Fork]:
        drawn = [(seed, bag) for seed in seeds for bag in draw(name, seed, None, data_dir, asked.draws).bags]
        return [fork for seed, bag in drawn for fork in forks(bag, seed)]

    found = fit(random + [fork for name in names for fork in of_scenario(name, FITTED)])
    if asked.out is not None:
        networks = dict(zip(("branch", "rest", "goes_on"), map(content, found), strict=True))
        asked.out.write_text(json.dumps(networks, indent=0) + "\n", encoding="utf-8")
    alone = fit(random) if asked.unseen else None
    result: dict[str, Any] = {"forks": sum(fork.kind == "branch" for fork in random)}
    for name in names:
        scored = of_scenario(name, SCORED)
        result[name] = score(scored, found)
        if alone is not None:
            result[name] |= {f"{key}_unseen": value for key, value in score(scored, alone).items()}
        print(name, " ".join(f"{key} {value:.3f}" for key, value in result[name].items()), flush=True)
    result["left_out"] = sorted({*SCENARIOS} - {*names})
    result["seconds"] = round(time.perf_counter() - started)
    result["versions"] = {name: version(name) for name in ("numpy", "torch")}
    print(json.dumps(result))


def fit(found: Sequence[Fork]) -> Fitted:
    """Fit which row a branch left, or a rest, and who goes on."""
    joined, rests = ([fork for fork in found if (fork.kind == "rest") == rest] for rest in (False, True))
    return (
        fit_choice([(fork.features, fork.left) for fork in joined]),
        fit_choice([(fork.features, fork.left) for fork in rests]),
        fit_choice([(fork.goes_on, 0) for fork in found if fork.kind == "branch"]),
    )


def fit_choice(found: Sequence[tuple[Mapping[str, Floats], int]], hidden: int = HIDDEN) -> Judgement:
    """Fit a softmax over candidates by maximum likelihood, with a ridge on all weights and standardised features.

    Args:
        found: for each choice the candidates' measures by name, float64[n], and which of them was right.
        hidden: units.
    """
    names = tuple(found[0][0])
    tables = [np.stack([measures[name] for name in names], axis=1) for measures, _ in found]
    sizes = np.array([len(table) for table in tables])
    rows = np.concatenate(tables)
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale[scale == 0] = 1.0
    features = torch.from_numpy((rows - mean) / scale).float()
    choice = torch.from_numpy(np.repeat(np.arange(len(found)), sizes))
    right = torch.from_numpy(np.cumsum(sizes) - sizes + [right for _, right in found])
    generator = torch.Generator().manual_seed(0)
    shapes = {"hidden": (hidden, len(names)), "bias": (hidden,), "out": (hidden,), "straight": (len(names),)}
    weights = {
        name: torch.randn(shape, generator=generator).div_(len(names) ** 0.5).requires_grad_()
        for name, shape in shapes.items()
    }
    search = torch.optim.LBFGS(list(weights.values()), max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        units = torch.tanh(torch.addmm(weights["bias"], features, weights["hidden"].T))
        scores = units @ weights["out"] + features @ weights["straight"]
        most = scores.detach().new_full((len(found),), -torch.inf).scatter_reduce(0, choice, scores.detach(), "amax")
        summed = torch.zeros_like(most).index_add(0, choice, torch.exp(scores - most[choice]))
        likelihood = (scores[right] - most - summed.log()).mean()
        total = RIDGE * torch.stack([values.square().sum() for values in weights.values()]).sum() - likelihood
        total.backward()  # type: ignore[no-untyped-call]
        return total

    search.step(loss)  # type: ignore[no-untyped-call]
    arrays = {name: values.detach().double().numpy() for name, values in weights.items()}
    return Judgement(names, mean, scale, **arrays)


def content(judgement: Judgement) -> dict[str, Any]:
    """What is written of a network."""
    arrays = {name: value for name, value in vars(judgement).items() if name != "names"}
    return {"names": judgement.names} | {
        name: np.vectorize(lambda value: float(f"{value:.{_DIGITS}g}"))(value).tolist()
        for name, value in arrays.items()
    }


def score(found: Sequence[Fork], fitted: Fitted) -> dict[str, float]:
    """Fractions of forks that are right: by the nearest row, and as fitted."""
    of = {kind: [fork for fork in found if fork.kind == kind] for kind in ("branch", "rest", "torn")}
    joined, rest, goes_on = fitted
    nearest = [int(fork.features["way"].argmin()) == fork.left for fork in of["branch"]]
    return {
        "forks": len(of["branch"]),
        "nearest": float(np.mean(nearest)),
        "branch": _rows_right(of["branch"], joined),
        "torn": _rows_right(of["torn"], joined),
        "rest": _rows_right(of["rest"], rest),
        "goes_on": _goes_on_right(of["branch"], goes_on),
    }


def _rows_right(found: Sequence[Fork], judgement: Judgement) -> float:
    return float(np.mean([int(judgement.scores(fork.features).argmax()) == fork.left for fork in found]))


def _goes_on_right(found: Sequence[Fork], judgement: Judgement) -> float:
    return float(np.mean([int(judgement.scores(fork.goes_on).argmax()) == 0 for fork in found]))


if __name__ == "__main__":
    main()
