"""What a report is made of, and typed access to its columns."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows. n is the number of checkpoints, m of those that were analysed.

    Attributes:
        name: what the zoo is called.
        facts: short label to value, shown under the name.
        summary: the content of `summary.json`; scores are None where the truth is unknown.
        checkpoints: n rows with `model_id`, `epoch` and the training metrics, each of which may be missing.
        assignments: n rows in the order of `checkpoints`: `run`, `model_id`, `epoch`, `family`, `trajectory`
            (-1 = none), `position`, `progress`, `confidence`, `leaf` (its number in `linkage`, -1 = none).
        trajectories: one row per recovered trajectory; `parent_trajectory` and `parent_position` where it left another.
        geometry: n rows in the order of `checkpoints`; turning angles in radians, null where undefined.
        linkage: float64[m - 1, 4], the single-linkage tree in scipy's form.
        embedding: float32[n, 3], principal components of the weights, NaN for what was left out.
        explained_variance: share of the variance along each of the three components.
        claims: one row per model that names claim: `name`, `checkpoints`, `agrees`, `finding`; None: no claims.
    """

    name: str
    facts: dict[str, str]
    summary: dict[str, Any]
    checkpoints: pa.Table
    assignments: pa.Table
    trajectories: pa.Table
    geometry: pa.Table
    linkage: npt.NDArray[np.float64] = field(repr=False)
    embedding: npt.NDArray[np.float32] = field(repr=False)
    explained_variance: tuple[float, float, float]
    claims: pa.Table | None = None

    def __post_init__(self) -> None:
        """Refuse tables that do not describe the same checkpoints.

        Raises:
            ValueError: where the number of rows or the shape of an array differs.
        """
        rows = self.assignments.num_rows
        for name, table in (("checkpoints", self.checkpoints), ("geometry", self.geometry)):
            if table.num_rows != rows:
                raise ValueError(f"{name} has {table.num_rows} rows but assignments has {rows}; they must correspond")
        if self.embedding.shape != (rows, 3):
            raise ValueError(f"embedding has shape {self.embedding.shape}, expected ({rows}, 3)")
        if self.linkage.ndim != 2 or self.linkage.shape[1] != 4:
            raise ValueError(f"linkage has shape {self.linkage.shape}, expected (m - 1, 4)")
        for name, table in (("assignments", self.assignments), ("trajectories", self.trajectories)):
            largest = int(integers(table, "trajectory").max(initial=-1))
            if largest >= rows:
                raise ValueError(f"{name} has a trajectory {largest}, but there are only {rows} checkpoints")

    @cached_property
    def trajectory(self) -> Integers:
        """int64[n]: the recovered trajectory of every checkpoint, -1 = none."""
        return integers(self.assignments, "trajectory")

    @cached_property
    def epoch(self) -> Integers:
        """int64[n]: the true epoch of every checkpoint, -1 = unknown."""
        return integers(self.assignments, "epoch")

    @cached_property
    def position(self) -> Integers:
        """int64[n]: the recovered position of every checkpoint along its trajectory, -1 = none."""
        return integers(self.assignments, "position")

    @cached_property
    def model(self) -> Integers:
        """int64[n]: which (run, model_id) every checkpoint belongs to, numbered from 0; -1 = unknown."""
        model_id = integers(self.assignments, "model_id")
        run = np.unique(np.array(texts(self.assignments, "run"), dtype=object).astype(str), return_inverse=True)[1]
        known = model_id >= 0
        _, number = np.unique(np.stack([run, model_id], axis=1), axis=0, return_inverse=True)
        return np.where(known, number.reshape(-1), -1).astype(np.int64)

    @property
    def of_a_run(self) -> bool:
        """Whether the analysis lies in the run that it is of; otherwise its rows are named by files, too."""
        return "file" not in self.assignments.column_names

    @cached_property
    def several_runs(self) -> bool:
        """Whether the checkpoints come from more than one run, so that models are named with theirs."""
        return len(set(texts(self.assignments, "run"))) > 1

    @cached_property
    def model_label(self) -> list[str]:
        """What to call the model of every checkpoint; names the run only where there are several."""
        runs = texts(self.assignments, "run")
        return [
            "model unknown"
            if model_id < 0
            else f"{run} / model {model_id}"
            if self.several_runs
            else f"model {model_id}"
            for run, model_id in zip(runs, integers(self.assignments, "model_id").tolist(), strict=True)
        ]


def floats(table: pa.Table, name: str) -> Floats:
    """A column as float64, with NaN for nulls and for a column that is not there."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    values = pc.fill_null(table[name].cast(pa.float64()), float("nan"))
    return np.asarray(values.to_numpy(), dtype=np.float64)


def integers(table: pa.Table, name: str) -> Integers:
    """A column as int64, with -1 for nulls and for a column that is not there."""
    if name not in table.column_names:
        return np.full(table.num_rows, -1, dtype=np.int64)
    return np.asarray(pc.fill_null(table[name].cast(pa.int64()), -1).to_numpy(), dtype=np.int64)


def texts(table: pa.Table, name: str) -> list[str]:
    """A column as strings, empty for nulls and for a column that is not there."""
    if name not in table.column_names:
        return [""] * table.num_rows
    return ["" if value is None else str(value) for value in table[name].to_pylist()]
