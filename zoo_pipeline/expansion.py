"""One recipe, several runs: what a recipe gives as a list of datasets, models or seedings becomes a run each."""

from itertools import product
from math import prod
from pathlib import PurePath
from typing import Any

from zoo_pipeline.errors import ConfigError

MOST_RUNS = 1_000
LISTS = (("dataset",), ("model",), ("population", "seeding"))  # below zoo; the last one changes fastest
PLACES = ("dataset", "architecture", "seeding")  # what {…} in a name can stand for


def expand(tree: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """All runs of a recipe as plain values without such lists, each under its own name.

    The name is a template: {dataset}, {architecture} and {seeding} stand for those of the run; of a dataset that is a
    path, for the file's name without its ending. What is no list stays as it is, valid or not.

    Raises:
        ConfigError: a list is empty, the template has another place, or two runs get the same name.
    """
    lists = [_list_at(tree, keys, where) for keys in LISTS]
    if (count := prod(len(choices) for choices in lists)) > MOST_RUNS:
        raise ConfigError(f"{where}: expands to {count:,} runs, more than {MOST_RUNS:,}; give shorter lists")
    runs: dict[str, dict[str, Any]] = {}
    for chosen in product(*lists):
        run = tree
        for keys, choice, choices in zip(LISTS, chosen, lists, strict=True):
            run = _replaced(run, ("zoo", *keys), choice) if choices != [None] else run
        run = _named(run, where)
        if str(run.get("name")) in runs:
            raise ConfigError(
                f"{where}: name: gives two of the {count} runs the name {run.get('name')}; tell them apart by "
                f"{', '.join(f'{{{place}}}' for place in PLACES)}"
            )
        runs[str(run.get("name"))] = run
    return list(runs.values())


def _list_at(tree: dict[str, Any], keys: tuple[str, ...], where: str) -> list[Any]:
    """The choices of a list; [None], for nothing to choose, where there is none."""
    value = _value_at(tree, "zoo", *keys)
    if not isinstance(value, list):
        return [None]
    if not value:
        raise ConfigError(f"{where}: zoo.{'.'.join(keys)}: got an empty list; give one, or a list of at least one")
    return value


def _value_at(tree: dict[str, Any], *keys: str) -> Any:
    """What is below these keys; None where there is nothing."""
    value: Any = tree
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _replaced(tree: dict[str, Any], keys: tuple[str, ...], value: Any) -> dict[str, Any]:
    """A copy in which one value, somewhere below, is another."""
    first, *rest = keys
    return {**tree, first: _replaced(tree[first], tuple(rest), value) if rest else value}


def _named(run: dict[str, Any], where: str) -> dict[str, Any]:
    """The run with the places of its name filled in."""
    name = run.get("name")
    if not isinstance(name, str) or "{" not in name:
        return run
    values = {
        "dataset": PurePath(str(_value_at(run, "zoo", "dataset"))).stem,
        "architecture": _value_at(run, "zoo", "model", "architecture"),
        "seeding": _value_at(run, "zoo", "population", "seeding") or "fixed",
    }
    for place in PLACES:
        name = name.replace(f"{{{place}}}", str(values[place]))
    if "{" in name:
        raise ConfigError(
            f"{where}: name: got {run['name']}; in braces, expected {', '.join(f'{{{place}}}' for place in PLACES)}"
        )
    return {**run, "name": name}
