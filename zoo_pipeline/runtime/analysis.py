"""The analysis job: weights in, four tables and a summary out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from zoo_pipeline.errors import StoreError
from zoo_pipeline.models import Layout
from zoo_pipeline.runtime.analysis_tables import (
    assignments_table,
    claims_table,
    geometry_table,
    linkage_table,
    trajectories_table,
)
from zoo_pipeline.runtime.executor import ANALYSIS, Executor
from zoo_pipeline.runtime.metrics import count_analysis, run_tag
from zoo_pipeline.runtime.progress import shown
from zoo_pipeline.runtime.reporting import bag_page
from zoo_pipeline.runtime.row_tally import BEGUN, RowNews, RowTally
from zoo_pipeline.runtime.threads import torch_threads
from zoo_pipeline.sources import Source, count_rows, read_bags
from zoo_pipeline.store.analyses import AnalysedPart, Analysis, check_place, whole_summary, write_analysis, write_parts
from zoo_pipeline.store.bag import Bag, gather, read_share
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.trajectories import mode_of, recover_exactly, recover_in_shares, score
from zoo_pipeline.trajectories.claims import hold_claims
from zoo_pipeline.trajectories.crew import Crew
from zoo_pipeline.trajectories.distances import DEFAULT_MEMORY_LIMIT_BYTES
from zoo_pipeline.trajectories.modes import EXACT, EXACT_UP_TO
from zoo_pipeline.zoo import Zoo

EXCHANGE_RULE = "score against copies with renumbered hidden units"
GAP_RULE = "largest gap in the single-linkage heights, leaves at 0 included"
ROW_BYTES = 1024  # of each checkpoint, that whoever leads an analysis holds: a sketch, what is known of it, results
Tell = Callable[[RowNews], None]


def _silent(_news: RowNews) -> None:
    """Tell nobody."""


def analyze_run(
    executor: Executor, root: str, name: str, memory_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES, *, once: bool = False
) -> dict[str, Any]:
    """Recover, describe and score the trajectories of one run, write the tables into it, and return the summary.

    Recovery sees weights and layout alone. Models flagged as diverged are left out before it.

    Args:
        executor: a run that is small enough is analysed in one call; a larger one by a crew, whose results are merged
            beside it. Here comes the summary alone.
        root: of the run.
        name: of the analysis.
        memory_bytes: for the weights of a run that is read in shares, of all workers together.
        once: whether an analysis that somebody else has written when this one is made stays, and is taken for it.

    Raises:
        StoreError: the run cannot be read or written, or nothing of it can be analysed.
    """
    zoo = Zoo(root)
    summary: dict[str, Any]
    if mode_of(zoo.rows, zoo.layout) == EXACT:
        summary = executor.call(ANALYSIS, _analyze_run_here, root, name, once)
    else:
        summary = _led(executor, zoo.rows, root, _analyze_run, root, name, once, memory_bytes)
    count_analysis(executor.meter, run_tag(root), summary["seconds"], summary["checkpoints"])
    return summary


def analyze_sources(
    executor: Executor,
    sources: Sequence[Source],
    layout: Layout | None,
    out: str,
    name: str,
    memory_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
) -> dict[str, dict[str, Any]]:
    """Analyse the checkpoints of all sources together, those of each length and layout apart.

    Nothing is written before everything has been analysed.

    Args:
        executor: as of `analyze_run`.
        sources: runs and plain Parquet files.
        layout: of the plain files' rows that it fits, where they have none of their own.
        out: where the analyses and their pages go.
        name: of the analysis.
        memory_bytes: as of `analyze_run`.

    Returns:
        The summary of every part.

    Raises:
        StoreError: a source cannot be read, the place not be written, or nothing can be analysed.
    """
    summaries: dict[str, dict[str, Any]]
    if (rows := count_rows(sources)) <= EXACT_UP_TO:
        summaries = executor.call(ANALYSIS, _analyze_sources_here, sources, layout, out, name)
    else:
        summaries = _led(executor, rows, out, _analyze_sources, sources, layout, out, name, memory_bytes)
    for summary in summaries.values():
        count_analysis(executor.meter, run_tag(out), summary["seconds"], summary["checkpoints"])
    return summaries


def analyze_zoo(
    zoo: Zoo, crew: Crew | None = None, memory_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES, tell: Tell = _silent
) -> Analysis:
    """Analyse an open run; the arguments are those of `analyze_bag`.

    Raises:
        StoreError: all its models diverged.
    """
    started = time.perf_counter()
    bag = zoo.bag()
    seconds = {"reading": time.perf_counter() - started}
    analysis = analyze_bag(bag, seconds, crew, memory_bytes, tell)
    if not len(analysis.trajectories):
        raise StoreError(
            f"{zoo.root}: every model diverged or has weights that are not finite, so there is nothing to analyse; "
            f"lower the learning rate"
        )
    return analysis


def analyze_bag(
    bag: Bag,
    seconds: dict[str, float],
    crew: Crew | None = None,
    memory_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    tell: Tell = _silent,
) -> Analysis:
    """Analyse checkpoints of one layout.

    Args:
        bag: the checkpoints; those that are not finite are left out.
        seconds: what the stages before took.
        crew: who works where there are too many to be compared each with each; None for this process.
        memory_bytes: as of `analyze_run`.
        tell: told of checkpoints as they are worked on, where they are many.
    """
    # The blind part gets weights and layout, and nothing else.
    mode = mode_of(len(bag), bag.layout)
    if mode == EXACT:
        started = time.perf_counter()
        weights = bag.weights
        seconds = seconds | {"reading": seconds.get("reading", 0.0) + time.perf_counter() - started}
        recovery, geometry = recover_exactly(weights, bag.layout)
    else:
        assert bag.layout is not None
        recovery, geometry = recover_in_shares(
            partial(read_share, bag.shares),
            len(bag.shares),
            bag.layout,
            memory_bytes=memory_bytes,
            crew=crew,
            tell=lambda stage, rows: tell((stage, rows)),
        )
    seconds = seconds | recovery.seconds

    started = time.perf_counter()
    scores = score(recovery, bag.weights if mode == EXACT else None, bag.model, bag.time, bag.layout)
    trajectories = trajectories_table(bag, recovery, geometry)
    seconds["scoring"] = time.perf_counter() - started

    claims = None
    held: dict[str, Any] = {}
    if bag.names:
        findings = hold_claims(bag.claimed, bag.time, recovery)
        claims = claims_table(bag, findings)
        held = {"claims": {"models": len(findings), "agree": sum(each.agrees for each in findings)}}
    left_out = recovery.trajectory < 0
    left_out_models = np.unique(bag.model[left_out & (bag.model >= 0)])
    return Analysis(
        assignments=assignments_table(bag, recovery),
        trajectories=trajectories,
        geometry=geometry_table(bag, recovery, geometry),
        linkage=linkage_table(recovery.linkage),
        claims=claims,
        summary={
            "name": bag.name,
            "run": bag.run,
            "complete": bag.complete,
            "checkpoints": len(bag),
            "dimension": bag.dimension,
            "layout_known": bag.layout is not None,
            "mode": mode,
            "left_out": {"models": len(left_out_models), "checkpoints": int(left_out.sum())},
            **asdict(scores),
            "cut": {
                "rule": GAP_RULE if recovery.threshold is None else EXCHANGE_RULE,
                "metric": "cosine distance",
                "height": recovery.cut,
                "threshold": recovery.threshold,
            },
            **held,
            "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        },
    )


def _led(
    executor: Executor, rows: int, place: str, function: Callable[..., dict[str, Any]], *arguments: Any
) -> dict[str, Any]:
    """What the function returns that leads an analysis; how far it is is shown and counted here."""
    tally = RowTally(rows, executor.meter, run_tag(place))
    with shown(ANALYSIS, tally), executor.listening(tally.hear) as tell:
        found: dict[str, Any] = executor.lead(ANALYSIS, function, *arguments, tell, memory_bytes=rows * ROW_BYTES)
        return found


def _analyze_run_here(root: str, name: str, once: bool, *, threads: int) -> dict[str, Any]:
    with torch_threads(threads):
        return _analyze_run(root, name, once, DEFAULT_MEMORY_LIMIT_BYTES, _silent, crew=None)


def _analyze_run(
    root: str, name: str, once: bool, memory_bytes: int, tell: Tell, *, crew: Crew | None
) -> dict[str, Any]:
    tell((BEGUN, 0))
    zoo = Zoo(root)
    try:
        zoo.files.check_writable()
    except StoreError as error:
        raise StoreError(f"{error}; --out DIR puts the analysis elsewhere") from None
    analysis = analyze_zoo(zoo, crew, memory_bytes, tell)
    if once and (theirs := whole_summary(zoo.files, name)):
        return theirs
    write_analysis(zoo.files, name, analysis)
    return analysis.summary


def _analyze_sources_here(
    sources: Sequence[Source], layout: Layout | None, out: str, name: str, *, threads: int
) -> dict[str, dict[str, Any]]:
    with torch_threads(threads):
        return _analyze_sources(sources, layout, out, name, DEFAULT_MEMORY_LIMIT_BYTES, _silent, crew=None)


def _analyze_sources(
    sources: Sequence[Source],
    layout: Layout | None,
    out: str,
    name: str,
    memory_bytes: int,
    tell: Tell,
    *,
    crew: Crew | None,
) -> dict[str, dict[str, Any]]:
    tell((BEGUN, 0))
    check_place(Files(out))  # as the process sees it that writes
    started = time.perf_counter()
    parts = gather(list(read_bags(sources, layout, held=crew is None)))
    if layout is not None and all(bag.layout != layout for bag in parts.values()):
        lengths = [bag.dimension for bag in parts.values()]
        if layout.dimension in lengths:
            raise StoreError("--layout: is not needed; the files say another one in their metadata")
        have = ", ".join(f"{length:,}" for length in lengths)
        raise StoreError(f"--layout: describes {layout.dimension:,} weights, but the rows have {have}")
    for bag in parts.values():
        mode_of(len(bag), bag.layout)  # refused before any of them is worked on
    reading = (time.perf_counter() - started) / len(parts)
    analysed = []
    for part, bag in parts.items():
        analysis = analyze_bag(bag, {"reading": reading}, crew, memory_bytes, tell)
        analysed.append(AnalysedPart(part, analysis, bag_page(bag, analysis)))
    if not any(len(part.analysis.trajectories) for part in analysed):
        raise StoreError("nothing to analyse: no checkpoint has only finite weights")
    write_parts(Files(out), name, [source.given for source in sources], analysed)
    return {part.name: part.analysis.summary for part in analysed}
