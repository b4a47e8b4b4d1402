"""The analysis job: weights in, four tables and a summary out."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.models import Layout
from zoo_pipeline.runtime.reporting import bag_page
from zoo_pipeline.runtime.threads import torch_threads
from zoo_pipeline.sources import Source, read_bags
from zoo_pipeline.store.analyses import AnalysedPart, Analysis, check_place, write_analysis, write_parts
from zoo_pipeline.store.bag import Bag, gather
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.trajectories import (
    Geometry,
    Recovery,
    recover_bag,
    score,
    score_trajectories,
)
from zoo_pipeline.zoo import Zoo

EXCHANGE_RULE = "score against copies with renumbered hidden units"
GAP_RULE = "largest gap in the single-linkage heights, leaves at 0 included"


def analyze_run(root: str, name: str, *, threads: int) -> dict[str, Any]:
    """Recover, describe and score the trajectories of one run, write the tables into it, and return the summary.

    Recovery sees weights and layout alone. Models flagged as diverged are left out before it.

    Raises:
        StoreError: the run cannot be read or written, or nothing of it can be analysed.
    """
    zoo = Zoo(root)
    try:
        zoo.files.check_writable()
    except StoreError as error:
        raise StoreError(f"{error}; --out DIR puts the analysis elsewhere") from None
    with torch_threads(threads):
        analysis = analyze_zoo(zoo)
    write_analysis(zoo.files, name, analysis)
    return analysis.summary


def analyze_sources(
    sources: Sequence[Source], layout: Layout | None, out: str, name: str, *, threads: int
) -> dict[str, dict[str, Any]]:
    """Analyse the checkpoints of all sources together, those of each length and layout apart.

    Nothing is written before everything has been analysed.

    Args:
        sources: runs and plain Parquet files.
        layout: of the plain files' rows that it fits, where they have none of their own.
        out: where the analyses and their pages go.
        name: of the analysis.
        threads: of torch.

    Returns:
        The summary of every part.

    Raises:
        StoreError: a source cannot be read, the place not be written, or nothing can be analysed.
    """
    check_place(Files(out))  # as the process sees it that writes
    started = time.perf_counter()
    parts = gather(list(read_bags(sources, layout)))
    if layout is not None and all(bag.layout != layout for bag in parts.values()):
        raise StoreError(
            f"--layout: describes {layout.dimension:,} weights, but the rows have "
            f"{', '.join(f'{bag.dimension:,}' for bag in parts.values())}"
        )
    reading = (time.perf_counter() - started) / len(parts)
    analysed = []
    with torch_threads(threads):
        for part, bag in parts.items():
            analysis = analyze_bag(bag, {"reading": reading})
            analysed.append(AnalysedPart(part, analysis, bag_page(bag, analysis)))
    if not any(len(part.analysis.trajectories) for part in analysed):
        raise StoreError("nothing to analyse: no checkpoint has only finite weights")
    write_parts(Files(out), name, [source.given for source in sources], analysed)
    return {part.name: part.analysis.summary for part in analysed}


def analyze_zoo(zoo: Zoo) -> Analysis:
    """Analyse an open run in memory.

    Raises:
        StoreError: all its models diverged.
    """
    started = time.perf_counter()
    bag = zoo.bag()
    analysis = analyze_bag(bag, {"reading": time.perf_counter() - started})
    if not len(analysis.trajectories):
        raise StoreError(
            f"{zoo.root}: every model diverged or has weights that are not finite, so there is nothing to analyse; "
            f"lower the learning rate"
        )
    return analysis


def analyze_bag(bag: Bag, seconds: dict[str, float]) -> Analysis:
    """Analyse checkpoints of one layout.

    Args:
        bag: the checkpoints; those that are not finite are left out.
        seconds: what the stages before took.
    """
    # The blind part gets weights and layout, and nothing else.
    recovery, geometry, mode = recover_bag(bag.weights, bag.layout)
    seconds = seconds | recovery.seconds

    started = time.perf_counter()
    scores = score(recovery, bag.weights, bag.model, bag.time, bag.layout)
    trajectories = _trajectories(bag, recovery, geometry)
    seconds["scoring"] = time.perf_counter() - started

    left_out = recovery.trajectory < 0
    left_out_models = np.unique(bag.model[left_out & (bag.model >= 0)])
    return Analysis(
        assignments=_assignments(bag, recovery),
        trajectories=trajectories,
        geometry=_geometry(bag, recovery, geometry),
        linkage=_linkage(recovery.linkage),
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
            "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        },
    )


def _assignments(bag: Bag, recovery: Recovery) -> pa.Table:
    return pa.table(
        {
            **_columns(bag.keys),
            "family": recovery.family,
            "trajectory": recovery.trajectory,
            "position": recovery.position,
            "progress": _nullable(recovery.progress),
            "confidence": _nullable(recovery.confidence),
            "leaf": recovery.leaf,
        }
    )


def _geometry(bag: Bag, recovery: Recovery, geometry: Geometry) -> pa.Table:
    columns = ("step_length", "turning_angle", "curvature", "arc_length", "displacement")
    return pa.table(
        {
            **_columns(bag.keys),
            "trajectory": recovery.trajectory,
            "position": recovery.position,
            **{name: _nullable(getattr(geometry, name)) for name in columns},
        }
    )


def _trajectories(bag: Bag, recovery: Recovery, geometry: Geometry) -> pa.Table:
    number = np.arange(len(recovery.length), dtype=np.int32)
    truth = score_trajectories(recovery, bag.model, bag.time)
    unknown = truth.model_id < 0
    dated = np.isin(number, recovery.trajectory[(bag.model >= 0) & (bag.time >= 0)])
    owner = pa.array(_first_rows(bag.model)[truth.model_id], mask=unknown)
    kept = np.flatnonzero(recovery.trajectory >= 0)
    last = kept[recovery.position[kept] == recovery.length[recovery.trajectory[kept]] - 1]
    last = last[np.argsort(recovery.trajectory[last])]
    decided = recovery.direction_decided
    return pa.table(
        {
            "trajectory": number,
            "length": recovery.length,
            "parent_trajectory": pa.array(recovery.parent, mask=recovery.parent < 0),
            "parent_position": pa.array(recovery.position[recovery.parent_row], mask=recovery.parent_row < 0),
            "direction": np.where(decided, "forward", "undecided"),
            "direction_confidence": recovery.direction_confidence,
            "arc_length": geometry.arc_length[last],
            "displacement": geometry.displacement[last],
            "straightness": _nullable(geometry.straightness),
            "smoothness": _nullable(geometry.smoothness),
            "run": bag.keys["run"].take(owner),
            "model_id": bag.keys["model_id"].cast(pa.int64()).take(owner),
            "purity": _nullable(truth.purity),
            "exact": pa.array(truth.exact, mask=unknown),
            "kendall_tau": _nullable(truth.kendall_tau),
            "order_exact": pa.array(truth.order_exact, mask=~dated),
            "direction_correct": pa.array(truth.direction_correct, mask=~decided | ~dated),
        }
    )


def _linkage(linkage: NDArray[np.float64]) -> pa.Table:
    left, right, height, size = linkage.T
    return pa.table(
        {
            "left": left.astype(np.int64),
            "right": right.astype(np.int64),
            "height": height,
            "size": size.astype(np.int64),
        }
    )


def _first_rows(model: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[models + 1]: the first row of every model; the last entry stands for no model."""
    numbers, first = np.unique(model, return_index=True)
    return np.append(first[numbers >= 0], 0)


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _nullable(values: NDArray[np.floating]) -> pa.Array:
    """NaN means undefined here, and a table says null."""
    return pa.array(values, mask=np.isnan(values))
