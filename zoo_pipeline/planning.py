"""Plans of recipes, made without reading or downloading data where their facts are declared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo_pipeline.datasets import facts_of, load_dataset
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.plan import Plan, plan
from zoo_pipeline.recipes import load_configs, published_names
from zoo_pipeline.sizing import Wish, size
from zoo_pipeline.task_memory import task_bytes


def check_asked(
    config: str | None, overrides: Sequence[str], wish: Wish, *, cluster: bool, all_published: bool
) -> None:
    """Refuse what `zoo plan` cannot be asked for together.

    Raises:
        ConfigError: one option speaks against another, or nothing is named.
    """
    if wish != Wish() and not cluster:
        raise ConfigError("--gpus, --cpus, --hours, --rate, --price, --per-node: are for --cluster; add it")
    if cluster and all_published:
        raise ConfigError("--cluster --all-published: a cluster is sized for one CONFIG; name it")
    if all_published and (config is not None or overrides):
        raise ConfigError("--all-published: plans the published zoos as they are; name no CONFIG and no --set")
    if config is None and not all_published:
        raise ConfigError("no CONFIG is named: expected a recipe, a YAML file, or --all-published")


def planned(config: str, overrides: Sequence[str] = (), data_dir: Path | None = None) -> list[Plan]:
    """The plans of a recipe's runs; data are read only where their content is not declared and lies in the directory.

    Nothing is ever downloaded for a plan but a dataset that is named by its URI.

    Raises:
        ConfigError: the configuration cannot be run.
        DataError: there is no such dataset, or what the data directory has of it cannot be read.
    """
    plans = []
    for loaded in load_configs(config, overrides):
        facts = facts_of(loaded.zoo.dataset, data_dir)
        if facts.content_sha256 is None and data_dir is not None and (data_dir / facts.name).is_dir():
            facts = load_dataset(loaded.zoo.dataset, data_dir).facts
        plans.append(plan(loaded, facts))
    return plans


def published() -> list[Plan]:
    """The plans of all published zoos, from what is declared of their datasets."""
    return [made for name in published_names() for made in planned(name)]


def summary_of(made: Plan, wish: Wish | None = None) -> dict[str, Any]:
    """The figures of a plan, the memory of a task, and under `cluster` what it takes, where that is asked.

    Raises:
        ConfigError: what is wished of a cluster contradicts itself or the plan, or cannot be.
    """
    asked = {} if wish is None else {"cluster": size(made, wish)}
    return {**made.summary(), "task_bytes": task_bytes(made), **asked}
