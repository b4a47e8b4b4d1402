"""The table of the recovered trajectories, worst first."""

import math
from dataclasses import dataclass
from typing import Any

from zoo_pipeline.report.content import ReportData
from zoo_pipeline.report.formats import count, figure, known, score
from zoo_pipeline.report.theme import colour

MOST_ROWS = 20


@dataclass(frozen=True)
class Cell:
    """One cell: its text and whether it reports a fault."""

    text: str
    fault: bool = False


@dataclass(frozen=True)
class Row:
    """One trajectory: its colour in the figures and its cells, in the order of `COLUMNS`."""

    colour: str
    cells: list[Cell]


# Heading, and whether the column is shown on narrow screens.
COLUMNS = (
    ("Trajectory", True),
    ("Model", True),
    ("Checkpoints", False),
    ("Purity", False),
    ("Exact", True),
    ("Order |τ|", True),
    ("Direction", True),
    ("Confidence", False),
    ("Arc length", False),
    ("Straightness", False),
    ("Smoothness", False),
)


def worst_first(data: ReportData, most: int = MOST_ROWS) -> list[Row]:
    """The rows of the table: what is not exact, then what is out of order, then what has a doubtful direction."""
    trajectories = sorted(data.trajectories.to_pylist(), key=_badness)
    return [_row(trajectory, data.several_runs) for trajectory in trajectories[:most]]


def direction_cell(trajectory: dict[str, Any]) -> Cell:
    """Whether the direction of a row of the table of trajectories was found, and, where the truth is known, right."""
    if trajectory.get("direction") == "undecided":
        return Cell("undecided", True)
    correct = trajectory.get("direction_correct")
    return Cell("found" if correct is None else "right" if correct else "wrong", correct is False)


def _badness(trajectory: dict[str, Any]) -> tuple[float, ...]:
    def number(key: str, default: float) -> float:
        value = trajectory.get(key)
        return float(value) if known(value) else default

    return (
        number("exact", 1.0),
        number("purity", 1.0),
        abs(number("kendall_tau", 1.0)),
        number("direction_correct", 1.0 if trajectory.get("direction") != "undecided" else 0.5),
        number("direction_confidence", math.inf),
        number("trajectory", 0.0),
    )


def _row(trajectory: dict[str, Any], several_runs: bool) -> Row:
    get = trajectory.get
    model, purity, tau = get("model_id"), get("purity"), get("kendall_tau")
    cells = [
        Cell(str(trajectory["trajectory"])),
        Cell("n/a" if model is None else f"{get('run')} / {model}" if several_runs else str(model)),
        Cell(count(get("length"))),
        Cell(score(purity), known(purity) and purity < 1),
        _yes_or_no(get("exact")),
        Cell(score(abs(tau) if known(tau) else None), known(tau) and abs(tau) < 1),
        direction_cell(trajectory),
        Cell(figure(get("direction_confidence"))),
        Cell(figure(get("arc_length"))),
        Cell(figure(get("straightness"))),
        Cell(figure(get("smoothness"))),
    ]
    return Row(colour(trajectory["trajectory"]), cells)


def _yes_or_no(value: bool | None) -> Cell:
    return Cell("n/a") if value is None else Cell("yes" if value else "no", not value)
