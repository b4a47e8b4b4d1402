"""The most branched family as a tree: a line per trajectory, a link where one left another."""

import numpy as np

from zoo_pipeline.counts import plural
from zoo_pipeline.report.content import ReportData, texts
from zoo_pipeline.report.families import Branch, Family
from zoo_pipeline.report.panel import Panel
from zoo_pipeline.report.theme import MUTED, blank_figure, colour

MOST_LINES = 40
_FEW_LINES = 14  # have room in a low figure


def family_tree_panel(data: ReportData, family: Family) -> Panel:
    """Draw a family: to the right the positions, counted from its root; from top to bottom its trajectories."""
    drawn = _nearest_the_root(family.branches)
    place = {branch.number: -row for row, branch in enumerate(drawn)}
    undecided = [direction == "undecided" for direction in texts(data.trajectories, "direction")]
    figure = blank_figure()
    forks = [branch for branch in drawn if branch.parent >= 0]
    roots = [branch for branch in drawn if branch.parent < 0]
    figure.add_scatter(
        x=np.array([[branch.leaves_at, branch.leaves_at, np.nan] for branch in forks]).ravel(),
        y=np.array([[place[branch.parent], place[branch.number], np.nan] for branch in forks]).ravel(),
        mode="lines",
        line={"color": MUTED, "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    if len(roots) > 1:
        figure.add_scatter(
            x=[0, 0],
            y=[place[roots[0].number], place[roots[-1].number]],
            mode="lines",
            line={"color": MUTED, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
        )
    for branch in drawn:
        end = branch.start + branch.length - 1
        figure.add_scatter(
            x=[branch.leaves_at, end],
            y=[place[branch.number]] * 2,
            mode="lines+markers",
            line={
                "color": colour(branch.number),
                "width": 2.2,
                "dash": "dash" if undecided[branch.row] else "solid",
            },
            marker={"symbol": ["circle", "diamond"], "size": [4, 7]},
            hovertext=_label(branch),
            hoverinfo="text",
            showlegend=False,
        )
    figure.update_xaxes(title_text="checkpoints from the root")
    figure.update_yaxes(
        title_text="trajectory",
        tickvals=[place[branch.number] for branch in drawn],
        ticktext=[str(branch.number) for branch in drawn],
        range=[-len(drawn) + 0.4, 0.6],
        showgrid=False,
    )
    shape = "wide" if len(drawn) <= _FEW_LINES else "large"
    return Panel("family-tree", "The most branched family", _caption(family, drawn, any(undecided)), figure, shape)


def _nearest_the_root(branches: list[Branch]) -> list[Branch]:
    """As many branches as are drawn, those of few forks first, of these the longest; so every parent is among them."""
    chosen = sorted(branches, key=lambda branch: (branch.depth, -branch.length, branch.number))[:MOST_LINES]
    return [branch for branch in branches if branch in chosen]


def _label(branch: Branch) -> str:
    label = f"<b>trajectory {branch.number}</b>, {plural(branch.length, 'checkpoint')}"
    return label if branch.parent < 0 else f"{label}<br>left {branch.parent} at position {branch.fork}"


def _caption(family: Family, drawn: list[Branch], undecided: bool) -> str:
    caption = (
        f"Family {family.number}: every line is one trajectory, from its start to its end (diamond). A trajectory that "
        "left another begins below it at the checkpoint that it left."
    )
    if sum(branch.parent < 0 for branch in drawn) > 1:
        caption += " Dotted: what is joined by it shares a start, as far as can be told."
    if undecided:
        caption += " Dashed: the direction is undecided, start and end may be swapped."
    if len(drawn) < len(family.branches):
        every = plural(len(family.branches), "trajectory")
        caption += f" {len(drawn)} of {every} are drawn, those of fewest forks from the root."
    return caption
