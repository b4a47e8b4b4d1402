"""Geometry and training metrics over the epochs."""

import numpy as np

from zoo_pipeline.counts import plural
from zoo_pipeline.report.bands import FEW_LINES, Series, band_figure
from zoo_pipeline.report.content import Floats, Integers, ReportData, floats
from zoo_pipeline.report.panel import Panel
from zoo_pipeline.report.theme import BLUE, ORANGE


def geometry_panels(data: ReportData) -> list[Panel]:
    """Step length, turning angle and curvature of the recovered trajectories."""
    time, x_title = _time(data)
    quantities = (
        ("step-length", "Step length", "step length", floats(data.geometry, "step_length"), None,
         "How far the weights move from the checkpoint before."),
        ("turning-angle", "Turning angle", "degrees", np.degrees(floats(data.geometry, "turning_angle")), False,
         "Between one step and the next: 0° goes straight on, 90° is what unrelated steps make, above 90° turns back."),
        ("curvature", "Curvature", "curvature", floats(data.geometry, "curvature"), None,
         "One over the radius of the circle through three checkpoints in a row."),
    )  # fmt: skip
    panels = []
    for slug, title, unit, values, logarithmic, caption in quantities:
        series = Series(title.lower(), BLUE, time, data.trajectory, values)
        figure = band_figure([series], x_title=x_title, y_title=unit, logarithmic=logarithmic)
        if figure is None:
            caption = "Not defined: it takes trajectories of more checkpoints."
        panels.append(Panel(slug, title, caption, figure, "small"))
    return panels


def training_panels(data: ReportData) -> list[Panel]:
    """Loss and accuracy on training and test data."""
    time, x_title = _time(data)
    panels = []
    for slug, unit, logarithmic in (("loss", "loss", None), ("accuracy", "accuracy", False)):
        parts = [
            Series(part, colour, time, data.model, _clipped(floats(data.checkpoints, f"{part}_{slug}")))
            for part, colour in (("train", BLUE), ("test", ORANGE))
        ]
        figure = band_figure(parts, x_title=x_title, y_title=unit, logarithmic=logarithmic)
        if figure is not None and slug == "accuracy":
            figure.update_yaxes(tickformat=".0%")
        caption = "" if figure is not None else f"No {slug} was recorded with these checkpoints."
        panels.append(Panel(slug, unit.capitalize(), caption, figure, "medium"))
    return panels


def band_note(lines: int, kind: str) -> str:
    """What line and band are, said once for figures that stand together."""
    note = f"Line: median over {plural(lines, kind)}; band: the middle 80\N{NO-BREAK SPACE}%"
    return f"{note}; thin lines: each alone." if lines <= FEW_LINES else f"{note}."


def not_finite(data: ReportData) -> int:
    """How many checkpoints have a loss that is not a finite number."""
    columns = [name for name in ("train_loss", "test_loss") if name in data.checkpoints.column_names]
    missing = [data.checkpoints[name].is_null().to_numpy() for name in columns]
    broken = [~np.isfinite(floats(data.checkpoints, name)) & ~null for name, null in zip(columns, missing, strict=True)]
    return int(np.any(broken, axis=0).sum()) if broken else 0


def _time(data: ReportData) -> tuple[Integers, str]:
    """True epochs where they are known, recovered positions otherwise."""
    if (data.epoch >= 0).any():
        return data.epoch, "epoch"
    return data.position, "recovered position"


def _clipped(values: Floats) -> Floats:
    """Without the astronomic values that a model shows just before it diverges, which no axis can hold."""
    return np.where(np.abs(values) < 1e6, values, np.nan)
