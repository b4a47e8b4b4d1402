"""Mending a run, callable from Python: what is damaged is trained again, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_pipeline.data import BUILT_IN
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.places import absolute
from zoo_pipeline.recipes import recorded_config
from zoo_pipeline.workflow import Options, prepare

if TYPE_CHECKING:
    from zoo_pipeline.runtime.training import TrainingReport


IMPORT_AGAIN = "import the same files again with --resume, which makes again what is damaged"


@dataclass(frozen=True)
class Repaired:
    """What `repair` did.

    Attributes:
        groups: numbers of the groups whose shards were damaged or lost.
        training: what training did; None where nothing was to be done.
        found: what `zoo verify` says of the run now.
    """

    groups: tuple[int, ...]
    training: "TrainingReport | None"
    found: dict[str, Any]


def how_to_mend(root: str) -> str:
    """What helps where a run is not whole, a clause."""
    from zoo_pipeline.store.rundir import RunDirectory, is_imported

    return IMPORT_AGAIN if is_imported(RunDirectory(absolute(root)).spec) else "zoo verify RUN --repair makes it again"


def repair(
    root: str,
    overrides: Sequence[str] = (),
    data_dir: Path | None = None,
    executor: str = "ray",
    address: str | None = None,
) -> Repaired:
    """Read all of a run, remove what is damaged, and train that and what is missing again.

    Args:
        root: the run.
        overrides: changes of the configuration in its spec.json: resources, or where data of one's own lie.
        data_dir: as of `train`.
        executor: "ray" or "inline".
        address: of Ray.

    Raises:
        ZooError: it is no run, or its models cannot be trained here; nothing is removed then.
    """
    from zoo_pipeline.runtime.opening import open_executor
    from zoo_pipeline.runtime.training import train_zoo
    from zoo_pipeline.store.integrity import verify
    from zoo_pipeline.store.repair import remove_damaged
    from zoo_pipeline.store.rundir import RunDirectory, is_imported

    run = RunDirectory(absolute(root))
    found = verify(run)
    if found["complete"]:
        return Repaired((), None, found)
    if is_imported(run.spec):
        raise ConfigError(f"{root}: was imported, so nothing of it can be trained again; {IMPORT_AGAIN}")
    config = recorded_config(run.spec, overrides, root)
    keys = {override.partition("=")[0].strip() for override in overrides}
    if config.zoo.dataset not in BUILT_IN and not keys & {"zoo", "zoo.dataset"}:
        raise ConfigError(
            f"{root}: was trained on data of one's own, of which it keeps the name alone ({config.zoo.dataset}); say "
            f"where they lie: --set zoo.dataset=PATH"
        )
    zoo_plan, dataset, run = prepare(Options(config, root, data_dir=data_dir, resume=True, executor=executor))
    with open_executor(executor, config.resources, address) as opened:
        groups = remove_damaged(run, zoo_plan, found)
        training = train_zoo(zoo_plan, dataset, run, opened)
    return Repaired(tuple(groups), training, verify(run))
