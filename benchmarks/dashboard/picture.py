"""A picture of the panels with their answers. It is drawn here, after the Grafana file, and not by Grafana."""

import html
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from benchmarks.dashboard.panels import Panel, Series

COLUMN_PX, LINE_PX, GAP_PX = 60, 34, 8  # of Grafana's grid of 24 columns
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_PAGE = """<!doctype html><meta charset="utf-8"><script>{plotly}</script><style>
body {{ margin: 0; background: #f4f5f5; font-family: Helvetica, Arial, sans-serif; position: relative; }}
.panel {{ position: absolute; background: white; border: 1px solid #dcdfe2; overflow: hidden; box-sizing: border-box; }}
.row {{ position: absolute; font-weight: bold; padding-top: 8px; }}
h3 {{ font-size: 13px; font-weight: 600; margin: 6px 10px 0; }}
.stat {{ font-size: 40px; color: #1f60c4; text-align: center; padding-top: 18px; }}
.none {{ color: #8e8e8e; text-align: center; padding-top: 60px; }}
</style>{body}"""


@dataclass(frozen=True)
class _View:
    """The time that all panels show."""

    began: float
    ended: float
    step_s: float

    def times(self) -> list[float]:
        return [
            self.began + number * self.step_s for number in range(round((self.ended - self.began) / self.step_s) + 1)
        ]


def draw(panels: list[Panel], file: Path, step_s: float) -> bool:
    """Write a PNG, by Chromium; False where there is none.

    Args:
        panels: with their answers.
        file: to write.
        step_s: between two values of an answer; where more is missing, there is a gap.
    """
    browser = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if browser is None:
        return False
    page = file.with_suffix(".html")
    times = [
        at for panel in panels for target in panel.targets for series in target.answer.values() for at, _ in series
    ]
    view = _View(min(times), max(times), step_s)
    body = "".join(_drawn(panel, view) for panel in panels)
    page.write_text(_PAGE.format(plotly=get_plotlyjs(), body=body), encoding="utf-8")
    height = max(panel.place["y"] + panel.place["h"] for panel in panels) * LINE_PX + GAP_PX
    command = [
        browser,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--virtual-time-budget=9000",
    ]
    command += [f"--window-size={24 * COLUMN_PX + GAP_PX},{height}", f"--screenshot={file}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page.unlink()
    return True


def _drawn(panel: Panel, view: _View) -> str:
    place = panel.place
    left, top = place["x"] * COLUMN_PX + GAP_PX, place["y"] * LINE_PX + GAP_PX
    width, height = place["w"] * COLUMN_PX - GAP_PX, place["h"] * LINE_PX - GAP_PX
    style = f"left:{left}px;top:{top}px;width:{width}px;height:{height}px"
    if panel.kind == "row":
        return f'<div class="row" style="{style}">{html.escape(panel.title)}</div>'
    answers = {legend: series for target in panel.targets for legend, series in target.answer.items()}
    if not answers:
        inside = '<div class="none">No data</div>'
    elif panel.kind == "stat":
        inside = f'<div class="stat">{_said(next(iter(answers.values()))[-1][1], panel.unit)}</div>'
    else:
        figure = _bars(panel, answers) if panel.kind == "bargauge" else _lines(panel, answers, view)
        figure.update_layout(
            template="simple_white",
            width=width - 4,
            height=height - 30,
            margin={"l": 10, "r": 15, "t": 8, "b": 10},
            font={"size": 11},
            showlegend=panel.kind == "timeseries",
            legend={"orientation": "h", "y": -0.15},
        )
        figure.update_yaxes(automargin=True, showgrid=True, gridcolor="#eeeeee")
        inside = figure.to_html(full_html=False, include_plotlyjs=False, config={"displayModeBar": False})
    return f'<div class="panel" style="{style}"><h3>{html.escape(panel.title)}</h3>{inside}</div>'


def _lines(panel: Panel, answers: dict[str, Series], view: _View) -> go.Figure:
    figure = go.Figure()
    times = view.times()
    for legend, series in answers.items():
        known = {round(at, 1): value for at, value in series}
        figure.add_scatter(
            x=[datetime.fromtimestamp(at) for at in times],
            y=[known.get(round(at, 1), 0 if panel.stacked else None) for at in times],
            name=legend,
            mode="lines",
            line={"width": 1.2},
            stackgroup="one" if panel.stacked else None,
        )
    if panel.unit in ("percent", "percentunit"):
        figure.update_yaxes(range=[0, 100 if panel.unit == "percent" else 1])
    form = {"percentunit": ".0%", "bytes": ".3s", "Bps": ".3s"}.get(panel.unit, "~s")
    suffix = {"percent": " %", "bytes": "B", "Bps": "B/s"}.get(panel.unit, "")
    figure.update_xaxes(tickformat="%H:%M:%S")
    figure.update_yaxes(rangemode="tozero", tickformat=form, ticksuffix=suffix)
    return figure


def _bars(panel: Panel, answers: dict[str, Series]) -> go.Figure:
    last = {legend: series[-1][1] for legend, series in answers.items()}
    figure = go.Figure()
    texts = [_said(value, panel.unit) for value in last.values()]
    figure.add_bar(x=list(last.values()), y=list(last), orientation="h", text=texts, textposition="auto")
    return figure


def _said(value: float, unit: str) -> str:
    return f"{value:,.3g} s" if unit == "s" else f"{value:,.0f}"
