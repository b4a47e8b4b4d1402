"""The import job: files in, one run for every layout out."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zoo_pipeline.counts import plural
from zoo_pipeline.errors import StoreError, UnreachableError, ZooError
from zoo_pipeline.importing.account import identical, left_out, listed, models_table
from zoo_pipeline.importing.file_origin import FileOrigin
from zoo_pipeline.importing.group import ImportedShard, ImportTask, import_group
from zoo_pipeline.importing.names import Pattern
from zoo_pipeline.importing.plan import ImportPlan
from zoo_pipeline.importing.reading import Shapes
from zoo_pipeline.importing.runs import place_of, places_of, plan_runs, trials_of, why_nothing
from zoo_pipeline.importing.survey import Listing, batches, found_in, list_files, survey
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.runtime.executor import IMPORT, Executor
from zoo_pipeline.runtime.file_tally import FileTally
from zoo_pipeline.runtime.progress import shown
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.groups import declare
from zoo_pipeline.store.rundir import IMPORT as ACCOUNT
from zoo_pipeline.store.rundir import MANIFEST, RunDirectory

WORKER_BYTES = 480 << 20  # of a process that has done nothing yet


@dataclass(frozen=True)
class ImportedRun:
    """One of the runs that an import made."""

    root: str
    layout: Layout
    models: int
    checkpoints: int


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        runs: one for every layout.
        refused: files that could not be read, and why.
        found: how many of the files had been imported before, where an import goes on.
        troubles: what could not be read of hyperparameters and metrics.
        identical: how many files have the weights of an earlier one.
        account: where import.json lies.
        wall_s: how long it took.
    """

    runs: tuple[ImportedRun, ...]
    refused: list[tuple[str, str]]
    found: int
    troubles: list[str]
    identical: int
    account: str
    wall_s: float

    @property
    def files(self) -> int:
        """Files that were imported."""
        return sum(run.checkpoints for run in self.runs)


def import_files(
    executor: Executor,
    origins: Sequence[FileOrigin],
    out: str,
    pattern: Pattern | None = None,
    *,
    strict: bool = False,
    resume: bool = False,
    overwrite: bool = False,
) -> ImportReport:
    """Import all checkpoints of some origins.

    Args:
        executor: that looks at files, and reads them.
        origins: where they lie.
        out: the run, where all files have one layout; else the folder of the runs, each named by its length.
        pattern: of names; None for the usual rules.
        strict: whether a file that cannot be read ends the import.
        resume: go on with an import of the same files.
        overwrite: remove what is there.

    Raises:
        StoreError: there is nothing to import, the place is taken, or cannot be written.
        ZooError: a file cannot be read, where it is to be strict.
    """
    started = time.perf_counter()
    listing = list_files(origins)
    tally = FileTally(len(listing.files))
    with shown(IMPORT, tally):
        by_shapes, refused = _surveyed(executor, origins, listing, tally, strict=strict)
        if not by_shapes:
            raise StoreError(why_nothing(origins, listing, refused))
        plans = plan_runs(origins, listing, pattern, by_shapes)
        roots = places_of(out, plans)
        shards: dict[str, list[ImportedShard]] = {}
        for root, plan in zip(roots, plans, strict=True):
            RunDirectory(root).check(plan, resume=resume, overwrite=overwrite)
        for root, plan in zip(roots, plans, strict=True):
            shards[root] = _imported(executor, origins, listing, plan, root, tally, strict, resume, overwrite)
    everything = [shard for root in roots for shard in shards[root]]
    lost = [lost for shard in everything for lost in shard.refused]
    if not any(shard.record.rows for shard in everything):
        raise StoreError(why_nothing(origins, listing, refused + lost))
    refused += [lost for shard in everything for lost in shard.refused]
    same, troubles = identical(everything), sorted(_troubles(everything))
    runs = tuple(
        ImportedRun(root, plan.layout, len(plan.models), sum(shard.record.rows for shard in shards[root]))
        for root, plan in zip(roots, plans, strict=True)
    )
    files = Files(out)
    account = {
        "sources": [origin.given for origin in origins],
        "pattern": pattern.text if pattern else None,
        "files": len(listing.files),
        "imported": sum(run.checkpoints for run in runs),
        "runs": [
            {"run": run.root, "dimension": run.layout.dimension, "models": run.models, "checkpoints": run.checkpoints}
            for run in runs
        ],
        "unreadable": listed([{"file": file, "why": why} for file, why in refused]),
        "identical": listed(same),
        "left_out": listed(left_out(everything)),
        "troubles": listed(troubles),
        "links_not_followed": listed(listing.links),
        "passed_over": dict(sorted(listing.passed_over.items())),
    }
    for root, plan in zip(roots, plans, strict=True):
        run = RunDirectory(root)
        records = [shard.record for shard in shards[root]]
        declare(run, plan.spec_hash, models_table(plan, shards[root]), records, again=run.files.exists(MANIFEST))
    files.replace(ACCOUNT, (json.dumps(account, indent=1) + "\n").encode(errors="backslashreplace"))
    return ImportReport(
        runs=runs,
        refused=refused,
        found=sum(shard.record.rows for shard in everything if shard.resumed),
        troubles=troubles,
        identical=sum(len(files) - 1 for files in same),
        account=files.at(ACCOUNT),
        wall_s=time.perf_counter() - started,
    )


def _surveyed(
    executor: Executor, origins: Sequence[FileOrigin], listing: Listing, tally: FileTally, *, strict: bool
) -> tuple[dict[Shapes, list[tuple[int, str]]], list[tuple[str, str]]]:
    """The files of each set of tensors, and those that cannot be read, each in the order of the listing.

    The tensors stand in the order in which the first of the files has them.
    """
    parts = batches(listing.files)
    looked: dict[int, Any] = {}
    number = {part: at for at, part in enumerate(parts)}
    for outcome in executor.map_unordered(survey, parts, origins, work=IMPORT):
        if outcome.error is not None:
            raise outcome.error
        for at, why in outcome.value.refused.items() if strict else ():
            raise StoreError(f"{place_of(origins, outcome.item[at])}: {why}; without --strict the others are imported")
        looked[number[outcome.item]] = outcome.value
        tally.surveyed += len(outcome.item)
    by_shapes: dict[Shapes, list[tuple[int, str]]] = {}
    first: dict[frozenset[tuple[str, tuple[int, ...]]], Shapes] = {}
    refused: list[tuple[str, str]] = []
    for at, part in enumerate(parts):
        refused += [(place_of(origins, part[place]), why) for place, why in looked[at].refused.items()]
        for file, shapes in found_in(part, looked[at]):
            by_shapes.setdefault(first.setdefault(frozenset(shapes), shapes), []).append(file)
    tally.imported += len(refused)  # there is nothing more to be done for them
    return by_shapes, refused


def _imported(
    executor: Executor,
    origins: Sequence[FileOrigin],
    listing: Listing,
    plan: ImportPlan,
    root: str,
    tally: FileTally,
    strict: bool,
    resume: bool,
    overwrite: bool,
) -> list[ImportedShard]:
    """The shards of a run, in their order."""
    run = RunDirectory(root)
    run.claim(plan, resume=resume, overwrite=overwrite)
    listed = _listed(run)
    tasks = [
        ImportTask(root, plan.spec_hash, plan.layout, group, listed.get(group.shard), trials)
        for group, trials in zip(plan.groups, trials_of(listing, plan), strict=True)
    ]
    largest = max((size for size, _ in listing.stamps), default=0)
    rows = max(len(group.rows) for group in plan.groups)
    memory_bytes = WORKER_BYTES + 2 * largest + 3 * rows * 4 * plan.layout.dimension
    shards: dict[int, ImportedShard] = {}
    failed: list[Exception] = []
    for outcome in executor.map_unordered(import_group, tasks, origins, memory_bytes=memory_bytes, work=IMPORT):
        if outcome.error is not None:
            failed.append(outcome.error)
            continue
        for file, why in outcome.value.refused if strict else ():
            raise StoreError(f"{file}: {why}; without --strict the others are imported")
        shards[outcome.item.group.number] = outcome.value
        tally.imported += len(outcome.item.group.rows)
    if failed:  # the others are there, and are not imported again
        error = failed[0]
        if isinstance(error, ZooError):
            raise error
        raise StoreError(f"{root}: {plural(len(failed), 'group')} failed ({error}); go on by --resume") from error
    return [shards[group.number] for group in plan.groups]


def _listed(run: RunDirectory) -> dict[str, tuple[str, int]]:
    """The sha256 and rows of the shards that a manifest lists; a manifest that is damaged lists none."""
    try:
        manifest = run.manifest
    except UnreachableError:
        raise
    except StoreError:
        return {}
    lines = manifest["shards"] if manifest else []
    return {str(line["shard"]): (str(line["sha256"]), int(line["rows"])) for line in lines}


def _troubles(shards: Sequence[ImportedShard]) -> set[str]:
    """What could not be read of what lies beside checkpoints."""
    return {trouble for shard in shards for trial in shard.trials.values() for trouble in trial.troubles}
