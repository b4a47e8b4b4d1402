"""The tables of an analysis, as docs/format.md has them."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from zoo_pipeline.store.bag import Bag
from zoo_pipeline.trajectories import Geometry, Recovery, score_trajectories
from zoo_pipeline.trajectories.claims import Finding


def assignments_table(bag: Bag, recovery: Recovery) -> pa.Table:
    """One row per checkpoint: its place in what was recovered."""
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


def geometry_table(bag: Bag, recovery: Recovery, geometry: Geometry) -> pa.Table:
    """One row per checkpoint: how its trajectory moves there."""
    columns = ("step_length", "turning_angle", "curvature", "arc_length", "displacement")
    return pa.table(
        {
            **_columns(bag.keys),
            "trajectory": recovery.trajectory,
            "position": recovery.position,
            **{name: _nullable(getattr(geometry, name)) for name in columns},
        }
    )


def trajectories_table(bag: Bag, recovery: Recovery, geometry: Geometry) -> pa.Table:
    """One row per recovered trajectory, with its scores."""
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


def claims_table(bag: Bag, findings: Sequence[Finding]) -> pa.Table:
    """One row per claimed model: whether the weights agree, and where not."""
    models = [bag.models[each.model] for each in findings]

    def name_of(run: str, model_id: int) -> str | None:
        return bag.names[run].get(model_id)

    def named(text: str) -> str:
        return re.sub(r"\{(\d+)\}", lambda found: shown(*bag.models[int(found[1])]), text)

    def shown(run: str, model_id: int) -> str:
        return name_of(run, model_id) or f"model {model_id}"

    return pa.table(
        {
            "run": pa.array([run for run, _ in models], pa.string()),
            "model_id": pa.array([model_id for _, model_id in models], pa.int64()),
            "name": pa.array([name_of(*model) for model in models], pa.string()),
            "checkpoints": pa.array([each.rows for each in findings], pa.int64()),
            "trajectories": pa.array([list(each.trajectories) for each in findings], pa.list_(pa.int32())),
            "agrees": pa.array([each.agrees for each in findings], pa.bool_()),
            "finding": pa.array([named(each.text) for each in findings], pa.string()),
        }
    )


def linkage_table(linkage: NDArray[np.float64]) -> pa.Table:
    """The single-linkage tree; the argument is float64[m − 1, 4], scipy's four columns."""
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
