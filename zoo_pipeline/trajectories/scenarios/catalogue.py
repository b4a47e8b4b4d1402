"""The catalogue: what every scenario is made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.trajectories.scenarios import damage, missing
from zoo_pipeline.trajectories.scenarios.branching import SHARED_GRID, common_start, forks, shared_seeds
from zoo_pipeline.trajectories.scenarios.independent import PUBLISHED_GRID, grid, restarts, strangers
from zoo_pipeline.trajectories.scenarios.known import KnownBag
from zoo_pipeline.trajectories.scenarios.missing import Maker
from zoo_pipeline.trajectories.scenarios.problems import (
    ADAM,
    CNN,
    CNN_ADAM,
    CNN_SGD,
    DEEP,
    DIGITS,
    MNIST,
    MNIST_ADAM,
    MNIST_SGD,
    SGD,
    TETRIS,
    TETRIS_ADAM,
    Problem,
)
from zoo_pipeline.trajectories.scenarios.seeding import Seeding


@dataclass(frozen=True)
class Entry:
    """A scenario of the catalogue.

    Attributes:
        kind: what it is an instance of; scenarios of one kind are held to one bar.
        story: what happened to its networks, in a line.
        maker: makes its bags.
        needs_files: whether MNIST's files have to be there.
    """

    kind: str
    story: str
    maker: Maker
    needs_files: bool = False


def _seeds(problem: Problem, how: Hyperparameters, models: int) -> Maker:
    """Models that differ by their seeds alone."""
    return partial(grid, problem, (how,), models)


def _rates(how: Hyperparameters, rates: Sequence[float], models: int) -> Maker:
    """So many digits MLPs of each learning rate in one zoo."""
    return partial(grid, DIGITS, tuple(replace(how, learning_rate=rate) for rate in rates), models)


def _forks(problem: Problem, how: Hyperparameters, rates: Sequence[float]) -> Maker:
    """Twelve parents, and of each one fork per learning rate."""
    return partial(forks, problem, how, [replace(how, learning_rate=rate) for rate in rates], 12)


def _mixed(seeding: Seeding) -> tuple[KnownBag, ...]:
    few = replace(seeding, starts=seeding.starts or 24)
    return tuple(bag for maker in (_DIGITS_SGD, _DEEP_ADAM, _TETRIS) for bag in maker(few))


_DIGITS_SGD, _DIGITS_ADAM = _seeds(DIGITS, SGD, 48), _seeds(DIGITS, ADAM, 48)
_DEEP_ADAM, _TETRIS = _seeds(DEEP, ADAM, 48), _seeds(TETRIS, TETRIS_ADAM, 96)
_MNIST_SGD, _MNIST_ADAM = _seeds(MNIST, MNIST_SGD, 40), _seeds(MNIST, MNIST_ADAM, 24)
_DECAY_SGD = _seeds(DIGITS, replace(SGD, weight_decay=1e-2), 40)
_FORKED_SGD, _FORKED_ADAM = replace(SGD, epochs=20), replace(ADAM, epochs=20)
_RATES, _MILD_RATES = (1e-4, 1e-3, 1e-2, 3e-2, 1e-1), (1e-4, 1e-3, 1e-2, 3e-2)
_OTHER_DATA = (
    replace(_FORKED_SGD, label_noise=0.2),
    replace(_FORKED_SGD, data_fraction=0.5),
    replace(_FORKED_SGD, data_fraction=0.5, learning_rate=0.015),
)
_CYCLE = replace(SGD, schedule="cosine", epochs=10)


def _lacking(survivors: missing.Survivors, of: Maker = _DIGITS_SGD) -> Maker:
    return partial(missing.missing, of, survivors)


def _damaged(kind: damage.Damage) -> Maker:
    return partial(damage.damaged, _DIGITS_ADAM, kind)


def _entries(kind: str, *listed: tuple[str, str, Maker], needs_files: bool = False) -> dict[str, Entry]:
    return {name: Entry(kind, story, maker, needs_files) for name, story, maker in listed}


CATALOGUE = {
    **_entries(
        "independent",
        ("digits-sgd", "MLPs on digits, SGD with momentum", _DIGITS_SGD),
        ("digits-adam", "MLPs on digits, Adam", _DIGITS_ADAM),
        ("deep-adam", "MLPs with two hidden layers on digits, Adam", _DEEP_ADAM),
        ("tetris-adam", "MLPs of 100 weights on Tetris, Adam", _TETRIS),
    ),
    **_entries(
        "independent",
        ("mnist-sgd", "MLPs on MNIST, SGD: first steps longer than between starts", _MNIST_SGD),
        ("cnn-sgd", "CNN-s on MNIST, SGD", _seeds(CNN, CNN_SGD, 12)),
        ("cnn-adam", "CNN-s on MNIST, Adam", _seeds(CNN, CNN_ADAM, 12)),
        needs_files=True,
    ),
    **_entries("grid", ("grid", "the published grid, random seeds", partial(grid, DIGITS, PUBLISHED_GRID, 1))),
    **_entries(
        "branching",
        (
            "grid-shared-seeds",
            "a grid with the same seeds at every point",
            partial(shared_seeds, DIGITS, SHARED_GRID, 8),
        ),
        ("common-start-sgd", "60 data orders from one initialisation, SGD", partial(common_start, DIGITS, SGD, 60)),
        ("common-start-adam", "60 data orders from one initialisation, Adam", partial(common_start, DIGITS, ADAM, 60)),
    ),
    **_entries(
        "forks",
        ("forks-sgd", "forks with other learning rates, SGD", _forks(DIGITS, _FORKED_SGD, (0.05, 0.015, 0.15))),
        ("forks-adam", "forks with other learning rates, Adam", _forks(DIGITS, _FORKED_ADAM, (3e-3, 1e-3, 6e-3))),
        ("forks-other-seed", "forks with nothing but other seeds", _forks(DIGITS, _FORKED_ADAM, (3e-3, 3e-3))),
        (
            "fine-tunes",
            "forks with noisy labels or half the data",
            partial(forks, DIGITS, _FORKED_SGD, _OTHER_DATA, 12),
        ),
        (
            "forks-of-forks",
            "forks that are forked again",
            partial(forks, DIGITS, _FORKED_SGD, [_FORKED_SGD], 16, generations=2),
        ),
    ),
    **_entries(
        "forks",
        (
            "forks-mnist",
            "forks with other learning rates on MNIST, SGD",
            _forks(MNIST, replace(MNIST_SGD, learning_rate=0.01, epochs=20), (0.01, 0.003, 0.03)),
        ),
        needs_files=True,
    ),
    **_entries(
        "missing",
        ("no-initialisation", "epoch 0 is missing", _lacking(missing.from_epoch(1))),
        ("no-first-ten", "epochs 0 to 9 are missing", _lacking(missing.from_epoch(10))),
        ("every-2nd", "every second epoch", _lacking(missing.every(2))),
        ("every-5th", "every fifth epoch", _lacking(missing.every(5))),
        ("every-10th", "every tenth epoch", _lacking(missing.every(10))),
        ("random-half", "a random half of all checkpoints", _lacking(missing.random_half)),
        ("some-single", "one checkpoint is left of half of the models", _lacking(missing.some_single)),
    ),
    **_entries(
        "plateau",
        ("plateau-sgd", "the last 12 epochs, SGD", _lacking(missing.last(12))),
        ("plateau-adam", "the last 12 epochs, Adam", _lacking(missing.last(12), _DIGITS_ADAM)),
        ("plateau-deep", "the last 12 epochs, two hidden layers, Adam", _lacking(missing.last(12), _DEEP_ADAM)),
        ("plateau-decay", "the last 12 epochs, SGD with weight decay .01", _lacking(missing.last(12), _DECAY_SGD)),
    ),
    **_entries(
        "plateau",
        ("plateau-mnist-sgd", "the last 12 epochs on MNIST, SGD", _lacking(missing.last(12), _MNIST_SGD)),
        ("plateau-mnist-adam", "the last 12 epochs on MNIST, Adam", _lacking(missing.last(12), _MNIST_ADAM)),
        needs_files=True,
    ),
    **_entries(
        "damage",
        ("float16", "weights rounded to half precision", _damaged(damage.rounded_float16)),
        ("bfloat16", "weights rounded to bfloat16", _damaged(damage.rounded_bfloat16)),
        ("duplicates", "a tenth of the rows twice", _damaged(damage.copied)),
        ("noise", "noise on every weight, 1 % of their root mean square", _damaged(damage.noisy)),
        ("pruned", "half of the weights pruned at the end", _damaged(damage.pruned_at_the_end)),
    ),
    **_entries(
        "scales",
        ("scales-sgd", "learning rates from 1e-4 to .1, SGD", _rates(SGD, _RATES, 10)),
        ("scales-adam", "learning rates from 1e-4 to .1, Adam", _rates(ADAM, _RATES, 10)),
        ("mild-scales-sgd", "learning rates from 1e-4 to .03, SGD", _rates(SGD, _MILD_RATES, 10)),
        ("mild-scales-adam", "learning rates from 1e-4 to .03, Adam", _rates(ADAM, _MILD_RATES, 10)),
    ),
    **_entries(
        "decay",
        ("decay-sgd", "weight decay .01, SGD", _DECAY_SGD),
        ("decay-adam", "weight decay .01, Adam", _seeds(DIGITS, replace(ADAM, weight_decay=1e-2), 40)),
        (
            "decay-adamw",
            "decoupled weight decay 1 that erases the initialisation",
            _seeds(DIGITS, replace(ADAM, optimizer="adamw", weight_decay=1.0), 40),
        ),
        ("warm-restarts", "four cosine cycles of 10 epochs, SGD", partial(restarts, DIGITS, _CYCLE, 4, 40)),
    ),
    **_entries(
        "strangers",
        (
            "strangers",
            "one last checkpoint of each of many independent networks",
            partial(strangers, DIGITS, replace(ADAM, epochs=10), 1_000),
        ),
    ),
    **_entries("mixed", ("mixed-bag", "three architectures in one bag", _mixed)),
}
