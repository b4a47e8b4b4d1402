"""The page: everything put into the template."""

from importlib import resources
from typing import Any

import jinja2
import plotly
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from zoo_pipeline.counts import plural
from zoo_pipeline.report import cards, ranking
from zoo_pipeline.report.claims import claims_section
from zoo_pipeline.report.content import ReportData
from zoo_pipeline.report.curves import band_note, geometry_panels, not_finite, training_panels
from zoo_pipeline.report.dendrogram import profile_panel, zoom_panel
from zoo_pipeline.report.families import FAMILY_COLUMNS, branching_families, families_note, family_rows
from zoo_pipeline.report.family_tree import family_tree_panel
from zoo_pipeline.report.formats import duration
from zoo_pipeline.report.order import order_panel
from zoo_pipeline.report.panel import Panel
from zoo_pipeline.report.paths import paths_panel


def render(data: ReportData) -> str:
    """Make the report.

    The page holds everything it needs, plotly.js included, and forbids itself any request; text that comes from the
    data is escaped.

    Args:
        data: one analysed run.

    Returns:
        An HTML document.
    """
    tree = [panel for panel in (profile_panel(data), zoom_panel(data)) if panel is not None]
    families = branching_families(data)
    branches = [family_tree_panel(data, family) for family in families[:1]]
    paths, order = paths_panel(data), order_panel(data)
    geometry, training = geometry_panels(data), training_panels(data)
    return _environment().get_template("page.html.j2").render(
        name=data.name,
        folder="analysis/NAME/" if data.of_a_run else "",
        facts=data.facts,
        headline=cards.headline(data.summary),
        left_out=cards.left_out_note(data.summary),
        cut=cards.cut_note(data.summary),
        groups=cards.card_groups(data.summary),
        claims=claims_section(data),
        paths=paths,
        tree=tree,
        branches=branches,
        family_columns=FAMILY_COLUMNS,
        family_rows=family_rows(data, families),
        families_note=families_note(data, families),
        order=order,
        geometry=geometry,
        geometry_note=band_note(data.trajectories.num_rows, "recovered trajectory"),
        training=training,
        training_note=_training_note(data),
        columns=ranking.COLUMNS,
        rows=ranking.worst_first(data),
        trajectory_count=data.trajectories.num_rows,
        stages=_stages(data.summary.get("seconds") or {}),
        total=duration(sum((data.summary.get("seconds") or {}).values())),
        figures=_figures([paths, *tree, *branches, order, *geometry, *training]),
        plotlyjs=Markup(get_plotlyjs()),
        style=Markup(_text("page.css")),
        plotly_version=plotly.__version__,
    )  # fmt: skip


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    return resources.files("zoo_pipeline.report").joinpath(name).read_text(encoding="utf-8")


def _figures(panels: list[Panel]) -> Markup:
    """All figures as one JSON object; plotly writes `<`, `>` and `/` as escapes, so no text can end the script."""
    parts = [f'"{panel.slug}":{panel.figure.to_json()}' for panel in panels if panel.figure is not None]
    return Markup("{" + ",\n".join(parts) + "}")


def _training_note(data: ReportData) -> str:
    note = band_note(len({model for model in data.model.tolist() if model >= 0}), "model")
    broken = not_finite(data)
    if broken:
        note += f" {plural(broken, 'checkpoint')} with a loss that is not a finite number cannot be drawn."
    return note


def _stages(seconds: dict[str, float]) -> list[dict[str, Any]]:
    """Stage, duration and its width in percent of the longest."""
    longest = max(seconds.values(), default=0.0) or 1.0
    return [
        {"name": stage, "duration": duration(value), "width": f"{100 * value / longest:.2f}"}
        for stage, value in seconds.items()
    ]
