"""The points of a zoo in the space of hyperparameters, and the seeds of its models.

Both follow from the configuration alone, by sha256 where they are drawn: the same on every platform and with every
version of every library, and each draw independent of all others.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from zoo_pipeline.axes import AXES, RandomPoints
from zoo_pipeline.config import WITH_MOMENTUM, PopulationConfig, TrainingConfig, ZooSpec
from zoo_pipeline.counts import plural
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.hyperparameters import Hyperparameters

DIGITS = 12  # of a drawn number; more would differ between platforms, whose logarithms differ in the last bits
DROP = 0.1  # of the schedule "step", where the configuration does not say
LEAST_DRAWS, DRAWS_PER_POINT, MOST_DRAWS = 1_000, 100, 100_000  # of one point, before there is held to be no new one
_BITS = 64  # of one draw
_MOMENTUM = f"momentum counts for {' and '.join(WITH_MOMENTUM)} alone"


def points(spec: ZooSpec) -> tuple[Hyperparameters, ...]:
    """The hyperparameters of every point, in the order of the configuration.

    A grid is walked in the order of `AXES`, whatever the order in which a recipe names them; the last one changes
    fastest. Momentum counts for sgd and rmsprop, and the numbers of the schedule "step" for it: for models of other
    optimisers and schedules they are 0. A random point that equals an earlier one is drawn again.

    Raises:
        ConfigError: two points are equal, or there are not enough different ones to draw.
    """
    found: dict[Hyperparameters, int] = {}
    for number, choices in enumerate(_choices(spec.population)):
        for chosen in choices:
            hyperparameters = _resolved(spec, chosen)
            if hyperparameters not in found:
                found[hyperparameters] = number
                break
        else:
            if spec.population.random is not None:
                raise _too_few(spec.population, len(found))
            raise _equal(found[hyperparameters], number, chosen, hyperparameters)
    return tuple(found)


def seeds(population: PopulationConfig) -> Iterator[int]:
    """The seed of every model, point by point.

    Fixed seeds count from first_seed, anew at every point. A random seed is the upper 62 bits of the first 64 of
    sha256("FIRST_SEED seed MODEL_ID"), so it is from 0 to 2⁶² − 1.
    """
    for model_id in range(population.models):
        if population.seeding == "fixed":
            yield population.first_seed + model_id % population.seeds
        else:
            yield _bits(f"{population.first_seed} seed {model_id}") >> 2


def _choices(population: PopulationConfig) -> Iterator[Iterable[dict[str, Any]]]:
    """What each point says of its axes; of a random point all its draws, the first new one of which counts."""
    if population.grid is not None:
        axes = population.grid.given
        for values in product(*axes.values()):
            yield [dict(zip(axes, values, strict=True))]
    elif population.random is not None:
        for point in range(population.random.points):
            yield _draws(population, population.random, point)
    elif population.list is not None:
        yield from ([point.given] for point in population.list)
    else:
        yield [{}]


def _draws(population: PopulationConfig, random: RandomPoints, point: int) -> Iterator[dict[str, Any]]:
    """A random point: its first draw, and those that take its place where it equals an earlier point."""
    axes = random.axes.given
    for draw in range(_most_draws(random.points)):
        end = f" {draw}" if draw else ""
        yield {name: _drawn(way.given, f"{population.first_seed} {point} {name}{end}") for name, way in axes.items()}


def _most_draws(points: int) -> int:
    """Draws of one point: so many that, where none of them is new, there is practically no other point."""
    return min(LEAST_DRAWS + DRAWS_PER_POINT * points, MOST_DRAWS)


def _too_few(population: PopulationConfig, found: int) -> ConfigError:
    points = population.points
    return ConfigError(
        f"zoo.population.random: {plural(found, 'different point')} found, {points:,} wanted, and "
        f"{_most_draws(points):,} more draws gave no other; draw fewer points, or along axes with more values "
        f"({_MOMENTUM})"
    )


def _equal(first: int, second: int, chosen: dict[str, Any], hyperparameters: Hyperparameters) -> ConfigError:
    shown = ", ".join(f"{name} {getattr(hyperparameters, name)}" for name in AXES if name in chosen)
    return ConfigError(
        f"zoo.population: points {first} and {second} are equal ({shown}); remove one, or name the points one by one "
        f"in a list ({_MOMENTUM})"
    )


def _drawn(draw: dict[str, Any], counter: str) -> Any:
    """One value of an axis; `counter` names the draw."""
    ((way, values),) = draw.items()
    bits = _bits(counter)
    if way == "choice":
        return values[bits * len(values) >> _BITS]
    low, high = values
    if way == "integer":
        return low + (bits * (high - low + 1) >> _BITS)
    fraction = bits / 2**_BITS
    if way == "uniform":
        value = low + fraction * (high - low)
    else:
        value = math.exp(math.log(low) + fraction * (math.log(high) - math.log(low)))
    return min(max(float(f"{value:.{DIGITS}g}"), low), high)


def _bits(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[: _BITS // 8], "big")


def _resolved(spec: ZooSpec, chosen: dict[str, Any]) -> Hyperparameters:
    """The zoo's own values, those of the point in their place, and 0 for what does not count."""
    training: TrainingConfig = spec.training
    base = {name: getattr(spec.model if name in ("activation", "initialisation") else training, name) for name in AXES}
    values = {**base, **chosen}
    if values["optimizer"] not in WITH_MOMENTUM or values["schedule"] == "onecycle":  # which cycles it
        values["momentum"] = 0.0
    steps = values["schedule"] == "step"
    return Hyperparameters(
        epochs=training.epochs,
        schedule_epochs=(training.schedule_epochs or 0) if steps else 0,
        schedule_factor=(training.schedule_factor or DROP) if steps else 0.0,
        **values,
    )
