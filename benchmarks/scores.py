"""Scores of related and unrelated checkpoints, measured and drawn: the pictures and figures of docs/recovery.md.

python -m benchmarks.scores [--out docs/images] [--seed 0]

Trains a few small zoos of `zoo_pipeline.trajectories.scenarios`, with seeds for development. MNIST's files are read
from `$ZOO_DATA_DIR/mnist/`; where that is not set, the zoos that need them are left out. Prints one JSON line last.
"""

import argparse
import json
from dataclasses import dataclass
from importlib.metadata import version
from math import log, sqrt
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.drawing import BLUE, GREY, INK, ORANGE, PALETTE, Axis, Chart, write_svg
from benchmarks.draws import files_of_mnist
from benchmarks.machine import hardware
from benchmarks.opponents.clustering import by_shrinking_steps
from benchmarks.paper.widths import along_path
from zoo_pipeline.report.embedding import principal_components
from zoo_pipeline.trajectories.distances import cosine_distance_of_pairs, cosine_distances
from zoo_pipeline.trajectories.exchange import exchange_scores, split_weights
from zoo_pipeline.trajectories.linkage import spanning_tree
from zoo_pipeline.trajectories.scenarios import CATALOGUE, KnownBag, make
from zoo_pipeline.trajectories.separation import separate, threshold

ZOOS = {  # models of each
    "digits-sgd": 24,
    "digits-adam": 24,
    "deep-adam": 24,
    "tetris-adam": 48,
    "mnist-sgd": 12,
    "cnn-adam": 6,
}
STRANGERS = 40_000  # pairs of unrelated checkpoints that are scored
COMPARED = 100  # pairs of models all of whose checkpoints are compared
FARTHEST = 25  # epochs between two checkpoints of one model
FEW = 8  # models in the picture of families
_OFTEN = 0.9
_BLOCK = 2_048
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Zoo:
    """A bag of independent models and what its checkpoints score.

    Attributes:
        bag: of the models.
        plain: float64, cosines of unrelated checkpoints times √d: standard normal for random vectors.
        strangers: float64, scores of the same pairs.
        apart: float64[gaps, …], scores of checkpoints of one model, 1, 2, … epochs apart.
        looks: how many independent pairs of networks are as alike at most as two models are at their most alike.
    """

    bag: KnownBag
    plain: Floats
    strangers: Floats
    apart: list[Floats]
    looks: float

    @classmethod
    def of(cls, bag: KnownBag, seed: int) -> Self:
        """Score pairs of a bag's rows."""
        generator = np.random.default_rng(seed)
        pairs = generator.integers(0, len(bag.epoch), (2, 2 * STRANGERS))
        pairs = pairs[:, bag.model_id[pairs[0]] != bag.model_id[pairs[1]]][:, :STRANGERS]
        path = np.lexsort((bag.epoch, bag.model_id)).reshape(bag.models, -1)
        gaps = range(1, min(FARTHEST + 1, path.shape[1]))
        return cls(
            bag,
            plain=(1 - cosine_distance_of_pairs(bag.weights, *pairs)) * sqrt(bag.weights.shape[1]),
            strangers=scores(bag, *pairs),
            apart=[scores(bag, path[:, :-gap].ravel(), path[:, gap:].ravel()) for gap in gaps],
            looks=independent_looks(bag, path, generator),
        )

    def described(self) -> dict[str, float | int]:
        """The figures of docs/recovery.md."""
        return {
            "dimension": self.bag.weights.shape[1],
            "models": self.bag.models,
            "plain_mean": round(float(self.plain.mean()), 2),
            "plain_std": round(float(self.plain.std()), 2),
            "strangers_mean": round(float(self.strangers.mean()), 2),
            "strangers_std": round(float(self.strangers.std()), 2),
            "strangers_most": round(float(self.strangers.max()), 2),
            "consecutive_least": round(float(self.apart[0].min()), 1),
            "consecutive_median": round(float(np.median(self.apart[0])), 1),
            "looks": round(self.looks, 1),
        }


def main() -> None:
    """Train, score, draw, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder of the pictures")
    parser.add_argument("--seed", type=int, default=0, help="of the zoos")
    asked = parser.parse_args()
    data_dir = files_of_mnist()
    left_out = [name for name in ZOOS if CATALOGUE[name].needs_files and data_dir is None]
    zoos = {
        name: Zoo.of(make(name, asked.seed, starts=models, data_dir=data_dir).bags[0], asked.seed)
        for name, models in ZOOS.items()
        if name not in left_out
    }
    asked.out.mkdir(parents=True, exist_ok=True)
    draw_null(asked.out / "recovery-scores.svg", zoos)
    draw_threshold(asked.out / "recovery-threshold.svg", zoos)
    draw_orders(asked.out / "recovery-orders.svg", zoos)
    families = draw_families(asked.out / "recovery-families.svg", asked.seed)
    result = {
        "seed": asked.seed,
        "zoos": {name: zoo.described() for name, zoo in zoos.items()},
        "families": families,
        "left_out": left_out,
        "machine": hardware("cpu"),
        "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "torch")},
    }
    print(json.dumps(result))


def scores(bag: KnownBag, first: Ints, second: Ints) -> Floats:
    """Exchange scores float64[p] of pairs of rows."""
    split = split_weights(bag.weights, bag.layout)
    assert split is not None, "all zoos have hidden layers"
    found = []
    for start in range(0, len(first), _BLOCK):
        one, two = (split.take(torch.from_numpy(rows[start : start + _BLOCK])) for rows in (first, second))
        found.append(exchange_scores(*one.cosines(two)))
    return np.asarray(torch.cat(found).double().numpy())


def independent_looks(bag: KnownBag, path: Ints, generator: np.random.Generator) -> float:
    """How many independent standard normal scores have a maximum like that of two models' checkpoints.

    Args:
        bag: of independent models.
        path: int64[models, epochs + 1], their rows.
        generator: chooses the pairs of models.
    """
    pairs = np.stack([generator.choice(len(path), 2, replace=False) for _ in range(COMPARED)])
    return looks_of(most_alike(bag, path, pairs))


def most_alike(bag: KnownBag, path: Ints, pairs: Ints) -> Floats:
    """The highest score between a checkpoint of one model and one of another, for pairs of models int64[p, 2]."""
    most = []
    for one, two in pairs:
        first, second = (grid.ravel() for grid in np.meshgrid(path[one], path[two]))
        most.append(scores(bag, first, second).max())
    return np.array(most)


def looks_of(most: Floats) -> float:
    """How many independent standard normal scores have a maximum distributed like these.

    The ninth decile is compared: it is the rare alikeness that matters.
    """
    return log(_OFTEN) / float(norm.logcdf(np.quantile(most, _OFTEN)))


def draw_null(path: Path, zoos: dict[str, Zoo]) -> None:
    """Unrelated pairs by plain cosine and by score, against the normal density; consecutive epochs beside."""
    curve = np.linspace(-6, 6, 121)
    charts = []
    for name, zoo in zoos.items():
        chart = Chart(name, Axis("score", -8, 64), Axis("density", 0, 0.5))
        for values, colour, label, width in (
            (zoo.plain, GREY, "unrelated, cosine·√d", 1.0),
            (zoo.apart[0], BLUE, "consecutive, score", 1.0),
            (zoo.strangers, ORANGE, "unrelated, score", 0.5),
        ):
            edges = np.arange(np.floor(values.min()), np.ceil(values.max()) + 1.5 * width, width)
            density, _ = np.histogram(values, edges, density=True)
            chart.bars(edges, density, colour, label)
        charts.append(chart.line(curve, norm.pdf(curve), INK, "N(0, 1)", width=1))
    write_svg(path, charts, columns=3)


def draw_threshold(path: Path, zoos: dict[str, Zoo]) -> None:
    """The threshold over the number of families, and the scores of one model's checkpoints over their distance."""
    families = np.geomspace(2, 1e6, 40)
    rising = Chart("What counts as related", Axis("families", 2, 1e6, logarithmic=True), Axis("score", 0, 12))
    rising.line(families, [threshold(round(number)) for number in families], INK, "threshold")
    fading = Chart("How long networks remember", Axis("epochs apart", 0, FARTHEST), Axis("least score", 0, 40))
    for (name, zoo), colour in zip(zoos.items(), PALETTE, strict=False):
        rising.line([2, 1e6], [zoo.strangers.max()] * 2, colour, width=0.8, dashed=True)
        if zoo.apart[0].min() < rising.y.high:
            rising.line([2, 1e6], [zoo.apart[0].min()] * 2, colour, f"{name}, consecutive", width=1.2)
        least = [values.min() for values in zoo.apart]
        fading.line(1 + np.arange(len(least)), least, colour, name)
    fading.line([0, FARTHEST], [threshold(64)] * 2, INK, dashed=True, width=1)
    write_svg(path, [rising, fading])


def draw_orders(path: Path, zoos: dict[str, Zoo]) -> None:
    """Where the checkpoints of one model are put, by the shortest path and by the rule that steps shrink."""
    charts = []
    for name, zoo in zoos.items():
        bag = zoo.bag.rows(zoo.bag.model_id == 0)
        last = int(bag.epoch.max())
        chart = Chart(f"{name}, one model", Axis("epoch", 0, last), Axis("position", 0, last))
        ours = along_path(bag.weights, bag.model_id)
        forwards = ours if np.corrcoef(ours, bag.epoch)[0, 1] > 0 else last - ours
        chart.dots(bag.epoch, by_shrinking_steps(bag.weights, bag.model_id), ORANGE, "the paper's rule", radius=1.8)
        charts.append(chart.dots(bag.epoch, forwards, BLUE, "shortest path", radius=1.8))
    write_svg(path, charts, columns=3)


def draw_families(path: Path, seed: int) -> dict[str, int]:
    """Models with starts of their own and models with one start, in the plane; how many families each are."""
    charts, found = [], {}
    for name, starts, story in (("digits-sgd", FEW, "starts of their own"), ("common-start-sgd", 1, "one start")):
        (whole,) = make(name, seed, starts=starts).bags
        bag = whole.rows(whole.model_id < FEW)
        split = split_weights(bag.weights, bag.layout)
        assert split is not None, "the networks have a hidden layer"
        rows = split.rows.numpy()
        distances = cosine_distances(rows)
        labels = separate(distances, spanning_tree(distances, rows), split).labels
        found[name] = int(labels.max()) + 1
        points = principal_components(bag.weights)[0][:, [0, 2]].astype(np.float64)  # the second is where all bend
        margin = 0.05 * np.ptp(points, axis=0)
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        title = f"{FEW} models, {story}: {found[name]} {'family' if found[name] == 1 else 'families'}"
        chart = Chart(title, Axis("PC 1", low[0], high[0]), Axis("PC 3", low[1], high[1]))
        for model in range(FEW):
            own = np.flatnonzero(bag.model_id == model)
            own = own[np.argsort(bag.epoch[own])]
            colour = PALETTE[int(np.bincount(labels[own]).argmax())]
            chart.line(points[own, 0], points[own, 1], colour, width=1)
            chart.dots(points[own, 0], points[own, 1], colour, radius=1.2)
        charts.append(chart)
    write_svg(path, charts)
    return found


if __name__ == "__main__":
    main()
