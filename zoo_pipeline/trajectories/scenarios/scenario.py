"""A scenario, drawn: its networks trained, their checkpoints in bags."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from zoo_pipeline.errors import ZooError
from zoo_pipeline.trajectories.scenarios.catalogue import CATALOGUE
from zoo_pipeline.trajectories.scenarios.known import KnownBag
from zoo_pipeline.trajectories.scenarios.seeding import Seeding


@dataclass(frozen=True)
class Scenario:
    """One draw of a scenario.

    Attributes:
        name: in the catalogue.
        kind: of the scenario.
        seed: of the draw.
        bags: one per layout; all but the mixed bag have one.
    """

    name: str
    kind: str
    seed: int
    bags: tuple[KnownBag, ...]


def names(kind: str | None = None) -> list[str]:
    """All scenarios, or those of a kind, in the order of the catalogue."""
    return [name for name, entry in CATALOGUE.items() if kind in (None, entry.kind)]


def kinds() -> list[str]:
    """All kinds, in the order of the catalogue."""
    return list(dict.fromkeys(entry.kind for entry in CATALOGUE.values()))


def make(name: str, seed: int, *, starts: int | None = None, data_dir: Path | None = None) -> Scenario:
    """Train a scenario's networks and put their checkpoints into bags.

    Args:
        name: one of `names()`.
        seed: from 0; see `DEVELOPMENT_SEEDS` and `BENCHMARK_SEEDS`. Equal seeds give equal bags on one machine.
        starts: independent initialisations (of a grid: for each of its points), in place of the scenario's own number.
        data_dir: where MNIST's files are, for the scenarios that need them.

    Returns:
        The bags and the truth about them.

    Raises:
        ZooError: there is no such scenario.
        DataError: MNIST's files are needed, and missing or damaged.
    """
    if name not in CATALOGUE:
        matches = get_close_matches(name, CATALOGUE, n=1, cutoff=0.5)
        raise ZooError(
            f"{name}: no such scenario{f' (did you mean {matches[0]}?)' if matches else ''}; "
            f"expected one of {', '.join(CATALOGUE)}"
        )
    entry = CATALOGUE[name]
    return Scenario(name, entry.kind, seed, entry.maker(Seeding(seed, starts, data_dir)))
