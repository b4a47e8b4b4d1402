"""Families of several paths and single ones, as `belief.py` of `trajectories/branching/` measures both."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.draws import draw
from benchmarks.fork_zoos import train_zoo
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.training import Member
from zoo_pipeline.trajectories.branching.belief import goes_two_ways, measure_belief
from zoo_pipeline.trajectories.branching.unrooted import unrooted_tree
from zoo_pipeline.trajectories.linkage import minimum_spanning_edges, tree_branches
from zoo_pipeline.trajectories.ordering import euclidean_distances, order_along_path
from zoo_pipeline.trajectories.scenarios import KnownBag
from zoo_pipeline.trajectories.scenarios.problems import ADAM, DIGITS, SGD, train_paths

Floats = NDArray[np.float64]

# Noisy, at a plateau, or with gaps; and some that are none of it.
SINGLES = (
    *("decay-sgd", "decay-adam", "decay-adamw", "plateau-decay", "plateau-sgd", "plateau-adam", "plateau-deep"),
    *("grid", "warm-restarts", "no-first-ten", "random-half", "digits-sgd", "digits-adam", "mnist-sgd", "scales-sgd"),
    *("noise", "bfloat16", "float16", "cnn-sgd", "cnn-adam", "every-2nd", "every-5th", "deep-adam"),
)
LONG_RUNS = {
    "sgd": replace(SGD, epochs=400),
    "sgd, weight decay 1e-3": replace(SGD, epochs=400, weight_decay=1e-3),
    "sgd, weight decay 1e-2": replace(SGD, epochs=400, weight_decay=1e-2),
    "adam, weight decay 1e-3": replace(ADAM, epochs=400, weight_decay=1e-3),
    "sgd, dropout": replace(SGD, epochs=400, dropout=0.5),
    "adam, dropout": replace(ADAM, epochs=400, dropout=0.3, weight_decay=1e-4),
    "sgd, batches of 8": replace(SGD, epochs=400, batch_size=8, weight_decay=5e-4),
}
_MODELS = 5  # of each kind of long run
_BEGUN_AT = (0, 10, 20)  # the checkpoint from which a single model is looked at
_STRETCHES = ((0, 41), (0, 61), (0, 101), (20, 61), (40, 81), (100, 141), (300, 341), (0, 201), (100, 161))
_LEAST_ROWS = 8
_WALKS = ((30, 15, 1), (60, 30, 1), (100, 50, 1), (60, 3, 1), (20, 8, 1), (20, 8, 2), (30, 15, 3))


@dataclass(frozen=True)
class Judged:
    """A family whose number of paths is known.

    Attributes:
        source: what it is of.
        paths: how many there are.
        exact: whether these are the paths of the tree that was made of it.
        measured: of that tree against the single path; none where no tree was made.
    """

    source: str
    paths: int
    exact: bool
    measured: Mapping[str, float]


def judged(points: NDArray[np.floating], paths: Sequence[int], layout: Layout | None, source: str) -> list[Judged]:
    """Judge a family as `unfold` does one without a known start; none of too few rows, or of rows that are equal.

    Args:
        points: float[m, d], the rows of the first path, then those of the second, and so on.
        paths: rows of each.
        layout: of the d weights, if known.
        source: what it is of.
    """
    rows: Floats = np.asarray(points, np.float64)
    if len(rows) < _LEAST_ROWS or len(np.unique(rows, axis=0)) < len(rows):
        return []
    distances = euclidean_distances(rows)
    branches = tree_branches(minimum_spanning_edges(distances))
    found = unrooted_tree(rows, None, layout) if branches else None
    if found is None or not goes_two_ways(found.tree):
        return [Judged(source, len(paths), False, {})]
    ends = np.cumsum(paths)
    true = {frozenset(range(end - length, end)) for end, length in zip(ends.tolist(), paths, strict=True)}
    measured = measure_belief(found.tree, order_along_path(rows), distances, found.smoothness)
    return [Judged(source, len(paths), {frozenset(path) for path in found.tree.paths} == true, measured)]


def judged_bag(bag: KnownBag, source: str) -> Iterator[Judged]:
    """Every fork with its parent, every family of more, and every model alone, also without its beginning."""
    rows = {
        model: np.flatnonzero(bag.model_id == model)[np.argsort(bag.epoch[bag.model_id == model], kind="stable")]
        for model in np.unique(bag.model_id).tolist()
    }
    for family in np.unique(bag.family):
        models = [model for model in np.flatnonzero(bag.family == family).tolist() if model in rows]
        together = [[int(bag.parent_model[one]), one] for one in models if bag.parent_model[one] in rows]
        if len(models) > 2 and together:
            together.append(models)
        for some in together:
            weights = bag.weights[np.concatenate([rows[one] for one in some])]
            yield from judged(weights, [len(rows[one]) for one in some], bag.layout, source)
        for one in models:
            for begun_at in _BEGUN_AT:
                own = rows[one][begun_at:]
                yield from judged(bag.weights[own], [len(own)], bag.layout, source)


def judged_scenario(name_seed: tuple[str, int], data_dir: Path | None, folder: Path | None) -> list[Judged]:
    """Judge a draw of a scenario."""
    name, seed = name_seed
    return [one for bag in draw(name, seed, None, data_dir, folder).bags for one in judged_bag(bag, name)]


def judged_random(seed: int, data_dir: Path | None) -> list[Judged]:
    """Judge a zoo with forks drawn at random."""
    bag = train_zoo(seed, data_dir)
    return [] if bag is None else list(judged_bag(bag, "random zoos"))


def judged_long_run(kind_seed: tuple[str, int]) -> list[Judged]:
    """Judge stretches of long runs of one kind; the seed is the first of their seeds."""
    kind, seed = kind_seed
    members = [Member(seed + number, LONG_RUNS[kind]) for number in range(_MODELS)]
    paths = train_paths(DIGITS, members, None)
    stretches = [path[first:last] for path in paths for first, last in _STRETCHES]
    return [one for rows in stretches for one in judged(rows, [len(rows)], DIGITS.layout, f"long runs: {kind}")]


def judged_walks(seed: int) -> list[Judged]:
    """Judge random walks, with and without a drift, that others leave at one row."""
    rng = np.random.default_rng(seed)
    found = []
    for d, drift, (length, at, others) in product((300, 1000), (0.0, 1.0), _WALKS):
        steps = [length] + [length - at - 1] * others
        parent, *rest = (_walk(rng, (count, d), drift) for count in steps)
        found += judged(np.concatenate([parent, *(parent[at] + one for one in rest)]), steps, None, "walks")
    return found


def _walk(rng: np.random.Generator, shape: tuple[int, int], drift: float) -> Floats:
    """Steps of length 1 each way, and of the drift's along the first coordinate."""
    steps: Floats = rng.standard_normal(shape) / shape[1] ** 0.5 + drift * np.eye(1, shape[1])
    return steps.cumsum(axis=0)
