"""The analysis job: a run's weights in, four tables and a summary out."""

import time
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.runtime.threads import torch_threads
from zoo_pipeline.store.analyses import Analysis, write_analysis
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.trajectories import (
    Geometry,
    Recovery,
    bag_geometry,
    recover,
    score,
    score_trajectories,
)
from zoo_pipeline.zoo import Zoo

CUT_RULE = "largest gap in the single-linkage heights, leaves at 0 included"


def analyze_run(root: str, name: str, *, threads: int) -> dict[str, Any]:
    """Recover, describe and score the trajectories of one run, write the tables, and return the summary.

    Recovery sees weights and layout alone. Models flagged as diverged are left out before it.

    Raises:
        StoreError: the run cannot be read or written, or nothing of it can be analysed.
    """
    with torch_threads(threads):
        analysis = analyze_zoo(Zoo(root))
    write_analysis(Files(root), name, analysis)
    return analysis.summary


def analyze_zoo(zoo: Zoo) -> Analysis:
    """Analyse an open run in memory."""
    started = time.perf_counter()
    checkpoints, weights = zoo.checkpoints(), zoo.weights()
    model_id, epoch = checkpoints["model_id"].to_numpy(), checkpoints["epoch"].to_numpy()
    diverged = np.isin(model_id, list(zoo.diverged))
    seconds = {"reading": time.perf_counter() - started}
    if diverged.all():
        raise StoreError(f"{zoo.root}: every model diverged, so there is nothing to analyse; lower the learning rate")

    # The blind part gets weights and layout; a diverged model's rows are hidden from it as not finite.
    seen = np.where(diverged[:, None], np.float32(np.nan), weights) if diverged.any() else weights
    recovery = recover(seen, zoo.layout)
    seconds |= recovery.seconds
    if len(recovery.length) == 0:
        raise StoreError(f"{zoo.root}: no checkpoint has only finite weights, so there is nothing to analyse")

    started = time.perf_counter()
    geometry = bag_geometry(seen, recovery.trajectory, recovery.position)
    seconds["geometry"] = time.perf_counter() - started

    started = time.perf_counter()
    scores = score(recovery, seen, model_id, epoch)
    trajectories = _trajectories(recovery, geometry, model_id, epoch)
    seconds["scoring"] = time.perf_counter() - started

    labels = {"run": pa.array([zoo.key] * len(checkpoints)).dictionary_encode(), "model_id": model_id, "epoch": epoch}
    left_out = recovery.trajectory < 0
    return Analysis(
        assignments=_assignments(labels, recovery),
        trajectories=trajectories,
        geometry=_geometry(labels, recovery, geometry),
        linkage=_linkage(recovery.linkage),
        summary={
            "name": zoo.spec["name"],
            "run": zoo.key,
            "complete": zoo.complete,
            "checkpoints": len(checkpoints),
            "dimension": zoo.layout.dimension,
            "left_out": {"models": len(np.unique(model_id[left_out])), "checkpoints": int(left_out.sum())},
            **asdict(scores),
            "cut": {"rule": CUT_RULE, "metric": "cosine distance", "height": recovery.cut},
            "seconds": {stage: round(value, 4) for stage, value in seconds.items()},
        },
    )


def _assignments(labels: dict[str, Any], recovery: Recovery) -> pa.Table:
    return pa.table(
        {
            **labels,
            "trajectory": recovery.trajectory,
            "position": recovery.position,
            "progress": _nullable(recovery.progress),
            "confidence": _nullable(recovery.confidence),
            "leaf": recovery.leaf,
        }
    )


def _geometry(labels: dict[str, Any], recovery: Recovery, geometry: Geometry) -> pa.Table:
    columns = ("step_length", "turning_angle", "curvature", "arc_length", "displacement")
    return pa.table(
        {
            **labels,
            "trajectory": recovery.trajectory,
            "position": recovery.position,
            **{name: _nullable(getattr(geometry, name)) for name in columns},
        }
    )


def _trajectories(
    recovery: Recovery, geometry: Geometry, model_id: NDArray[np.int32], epoch: NDArray[np.int32]
) -> pa.Table:
    number = np.arange(len(recovery.length), dtype=np.int32)
    truth = score_trajectories(recovery, model_id, epoch)
    last = np.flatnonzero((recovery.trajectory >= 0) & (recovery.position == recovery.length[recovery.trajectory] - 1))
    last = last[np.argsort(recovery.trajectory[last])]
    decided = recovery.direction_decided
    return pa.table(
        {
            "trajectory": number,
            "length": recovery.length,
            "direction": np.where(decided, "forward", "undecided"),
            "direction_confidence": recovery.direction_confidence,
            "arc_length": geometry.arc_length[last],
            "displacement": geometry.displacement[last],
            "straightness": _nullable(geometry.straightness),
            "smoothness": _nullable(geometry.smoothness),
            "model_id": pa.array(truth.model_id, mask=truth.model_id < 0),
            "purity": _nullable(truth.purity),
            "exact": truth.exact,
            "kendall_tau": _nullable(truth.kendall_tau),
            "order_exact": truth.order_exact,
            "direction_correct": pa.array(truth.direction_correct, mask=~decided),
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


def _nullable(values: NDArray[np.floating]) -> pa.Array:
    """NaN means undefined here, and a table says null."""
    return pa.array(values, mask=np.isnan(values))
