"""Quantities over the epochs: the median over models, the band that holds most of them, and single lines where few."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from zoo_pipeline.report.content import Floats, Integers
from zoo_pipeline.report.theme import blank_figure, translucent

FEW_LINES = 12


@dataclass(frozen=True)
class Series:
    """One quantity of every checkpoint; values that are not finite are not drawn.

    Attributes:
        name: for the legend.
        colour: hexadecimal.
        time: int64[n], epoch or position; -1 = unknown.
        line: int64[n], which line a value belongs to; -1 = unknown.
        values: float64[n].
    """

    name: str
    colour: str
    time: Integers
    line: Integers
    values: Floats

    def drawable(self) -> "Series":
        """The rows that have a value and a place."""
        rows = np.isfinite(self.values) & (self.time >= 0) & (self.line >= 0)
        return Series(self.name, self.colour, self.time[rows], self.line[rows], self.values[rows])


def quantiles(time: Integers, values: Floats) -> tuple[Integers, Floats]:
    """The 10 %, 50 % and 90 % quantile of the values at every time.

    Returns:
        The times int64[t], ascending, and the quantiles float64[3, t].

    Example:
        >>> quantiles(np.array([0, 0, 0, 1]), np.array([1.0, 2.0, 3.0, 5.0]))[1].tolist()
        [[1.2, 5.0], [2.0, 5.0], [2.8, 5.0]]
    """
    order = np.argsort(time, kind="stable")
    times, starts = np.unique(time[order], return_index=True)
    parts = np.split(values[order], starts[1:])
    return times, np.array([np.quantile(part, (0.1, 0.5, 0.9)) for part in parts]).T


def band_figure(
    every: list[Series], *, x_title: str, y_title: str, logarithmic: bool | None = None
) -> go.Figure | None:
    """Draw one or more series with the same axes.

    Args:
        every: the series; those without a drawable value are passed over.
        x_title: what `time` is.
        y_title: the quantity and its unit.
        logarithmic: whether the vertical axis is; None: where the medians and bands span more than 1.5 decades.

    Returns:
        The figure, or None where no series has a drawable value.
    """
    drawn = [series for each in every if len((series := each.drawable()).values)]
    if not drawn:
        return None
    found = [(series, *quantiles(series.time, series.values)) for series in drawn]
    edges = np.concatenate([edge.ravel() for _, _, edge in found])
    if logarithmic is None:
        logarithmic = bool(edges.min() > 0 and edges.max() > 10**1.5 * edges.min())
    figure = blank_figure()
    for series, times, (low, middle, high) in found:
        _add_lines(figure, series)
        _add_band(figure, series, times, low, high)
        figure.add_scatter(
            x=times.astype(np.int32),
            y=middle,
            mode="lines+markers" if len(times) < 3 else "lines",
            name=series.name,
            line={"color": series.colour, "width": 2.2},
            customdata=np.stack([low, high], axis=1),
            hovertemplate="%{y:.4g} (%{customdata[0]:.4g} – %{customdata[1]:.4g})",
            legendgroup=series.name,
            showlegend=len(drawn) > 1,
        )
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    figure.update_layout(hovermode="x unified")
    if logarithmic:
        figure.update_yaxes(type="log", dtick=1 if edges[edges > 0].min() * 300 < edges.max() else "D2")
    else:
        figure.update_yaxes(rangemode="tozero")
    return figure


def _add_band(figure: go.Figure, series: Series, times: Integers, low: Floats, high: Floats) -> None:
    figure.add_scatter(
        x=np.concatenate([times, times[::-1]]).astype(np.int32),
        y=np.concatenate([high, low[::-1]]),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=translucent(series.colour, 0.18),
        hoverinfo="skip",
        legendgroup=series.name,
        showlegend=False,
    )


def _add_lines(figure: go.Figure, series: Series) -> None:
    """Every model's own line, where there are few; one trace with gaps."""
    lines = np.unique(series.line)
    if len(lines) > FEW_LINES:
        return
    x: list[float] = []
    y: list[float] = []
    for line in lines:
        rows = np.flatnonzero(series.line == line)
        rows = rows[np.argsort(series.time[rows], kind="stable")]
        x += [*series.time[rows].tolist(), np.nan]
        y += [*series.values[rows].tolist(), np.nan]
    figure.add_scatter(
        x=np.array(x),
        y=np.array(y),
        mode="lines",
        line={"color": translucent(series.colour, 0.35), "width": 0.8},
        hoverinfo="skip",
        legendgroup=series.name,
        showlegend=False,
    )
