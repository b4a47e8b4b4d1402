"""The trajectories in three dimensions."""

import html

import numpy as np
import plotly.graph_objects as go

from zoo_pipeline.counts import plural
from zoo_pipeline.report.content import Integers, ReportData, texts
from zoo_pipeline.report.formats import share
from zoo_pipeline.report.panel import Panel
from zoo_pipeline.report.theme import blank_figure, colour

MOST_TRAJECTORIES = 60
MOST_POINTS = 120


def paths_panel(data: ReportData) -> Panel:
    """Lines through the first three principal components, one per recovered trajectory, coloured by it."""
    every = np.unique(data.trajectory[data.trajectory >= 0])
    drawn = [rows for number in evenly(every, MOST_TRAJECTORIES) if len(rows := _rows(data, int(number)))]
    title = "Trajectories in weight space"
    if not drawn:
        return Panel("paths", title, "No trajectories were recovered, so there is nothing to draw.", None)
    figure = blank_figure()
    figure.add_traces([_lines(data, drawn), _marks(data, drawn, last=False), _marks(data, drawn, last=True)])
    axes = {f"{axis}axis_title_text": f"PC {i + 1}" for i, axis in enumerate("xyz")}
    figure.update_scenes(aspectmode="manual", aspectratio={"x": 1.35, "y": 1.35, "z": 0.95}, dragmode="orbit", **axes)
    figure.update_scenes(camera={"eye": {"x": 1.3, "y": 1.2, "z": 0.62}, "center": {"x": 0, "y": 0, "z": -0.1}})
    figure.update_layout(
        legend={"y": 1.0, "yanchor": "top", "itemsizing": "constant"}, margin={"l": 0, "r": 0, "t": 0, "b": 0}
    )
    return Panel("paths", title, _caption(data, drawn, len(every)), figure, "large")


def evenly(values: Integers, most: int) -> Integers:
    """At most `most` of the values, evenly spaced, the first and the last among them.

    >>> evenly(np.arange(10), 4).tolist()
    [0, 3, 6, 9]
    """
    if len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).round().astype(np.int64)]


def _rows(data: ReportData, trajectory: int) -> Integers:
    """The rows of one trajectory along their recovered order, as many as are drawn."""
    rows = np.flatnonzero((data.trajectory == trajectory) & np.isfinite(data.embedding).all(axis=1))
    return evenly(rows[np.argsort(data.position[rows], kind="stable")], MOST_POINTS)


def _lines(data: ReportData, drawn: list[Integers]) -> go.Scatter3d:
    """All trajectories as one line with gaps: one draw call however many there are."""
    gap = np.full((1, 3), np.nan, dtype=np.float32)
    points = np.concatenate([part for rows in drawn for part in (data.embedding[rows], gap)])
    colours = [colour(int(data.trajectory[rows[0]])) for rows in drawn for _ in range(len(rows) + 1)]
    labels = [label for rows in drawn for label in [*(_label(data, int(row)) for row in rows), ""]]
    return go.Scatter3d(
        x=points[:, 0],
        y=points[:, 1],
        z=points[:, 2],
        mode="lines",
        line={"color": colours, "width": 4},
        hovertext=labels,
        hoverinfo="text",
        showlegend=False,
    )


def _marks(data: ReportData, drawn: list[Integers], *, last: bool) -> go.Scatter3d:
    """The first or the last checkpoint of every trajectory."""
    rows = np.array([rows[-1 if last else 0] for rows in drawn])
    points = data.embedding[rows]
    colours = [colour(int(number)) for number in data.trajectory[rows]]
    return go.Scatter3d(
        x=points[:, 0],
        y=points[:, 1],
        z=points[:, 2],
        mode="markers",
        name="end" if last else "start",
        marker={
            "symbol": "diamond" if last else "circle-open",
            "size": 4.5 if last else 5,
            "color": colours,
            "line": {"width": 0 if last else 2, "color": colours},
        },
        hovertext=[_label(data, int(row)) for row in rows],
        hoverinfo="text",
        legendgroup="end" if last else "start",
    )


def _label(data: ReportData, row: int) -> str:
    epoch = "epoch unknown" if data.epoch[row] < 0 else f"true epoch {data.epoch[row]}"
    place = f"<b>trajectory {data.trajectory[row]}</b>, position {data.position[row]}"
    return f"{place}<br>{html.escape(data.model_label[row])}, {epoch}"


def _caption(data: ReportData, drawn: list[Integers], found: int) -> str:
    total = share(float(np.sum(data.explained_variance)))
    caption = (
        f"Every line is one recovered trajectory through the first three principal components of the weights, which "
        f"hold {total} of their variance ({', '.join(share(part) for part in data.explained_variance)}). "
        "Ring: recovered start; diamond: end. Drag to rotate, hover for the checkpoint."
    )
    if len(drawn) < found:
        caption += f" {len(drawn)} of {plural(found, 'trajectory')} are drawn, evenly chosen by number."
    if any(len(rows) == MOST_POINTS for rows in drawn):
        caption += f" At most {MOST_POINTS} checkpoints of each are drawn."
    undecided = texts(data.trajectories, "direction").count("undecided")
    if undecided:
        caption += f" For {plural(undecided, 'trajectory')} the direction is undecided: start and end may be swapped."
    return caption
