"""Repair: damaged parts of a run are taken away, so that training makes exactly them again."""

from typing import Any

from zoo_pipeline.plan import Group, Plan
from zoo_pipeline.ranges import group_of
from zoo_pipeline.store.rundir import MANIFEST, MODELS, RunDirectory
from zoo_pipeline.store.survey import OF_ALL


def remove_damaged(run: RunDirectory, plan: Plan, found: dict[str, Any]) -> list[int]:
    """Remove the shards of all groups that cannot be gone on with, and what says that the run is complete.

    A group goes as a whole: what its ranges started from is gone once it is done. The damaged shards go first and the
    manifest last. Whoever is killed in between leaves a run of which shards are missing, which `zoo train --resume`
    makes again, and never one in which a damaged shard can be taken for a sound one.

    Args:
        run: the run.
        plan: of the run.
        found: what `verify` said of it.

    Returns:
        The numbers of these groups.

    Raises:
        StoreError: something cannot be removed.
    """
    lost = {*found["damaged"], *(found["missing"] if found["manifest"] else ())} - OF_ALL
    harmed = {group_of(name) for name in lost}
    groups = [group for group in plan.groups if group_of(group.ranges[0].shard) in harmed]
    names = [name for group in groups for name in _shards(run, group)]
    for name in (*sorted(names, key=lambda name: name not in lost), MODELS, MANIFEST):
        run.files.discard(name)
    return [group.number for group in groups]


def _shards(run: RunDirectory, group: Group) -> list[str]:
    return [part.shard for part in group.ranges if run.files.exists(part.shard)]
