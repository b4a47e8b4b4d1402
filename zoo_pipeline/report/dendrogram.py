"""The single-linkage tree: its saw-tooth in full, and a few trajectories as a classical dendrogram."""

import numpy as np
import plotly.graph_objects as go

from zoo_pipeline.counts import plural
from zoo_pipeline.report.content import Floats, Integers, ReportData
from zoo_pipeline.report.formats import figure as quantity
from zoo_pipeline.report.formats import known
from zoo_pipeline.report.panel import Panel
from zoo_pipeline.report.paths import evenly
from zoo_pipeline.report.theme import BLUE, GREY, INK, ORANGE, blank_figure, colour, translucent

MOST_TEETH = 25_000
MOST_LEAVES_ZOOMED = 160
MOST_TRAJECTORIES_ZOOMED = 5


def leaf_profile(linkage: Floats) -> tuple[Integers, Floats]:
    """The leaves in dendrogram order and the height at which neighbours meet.

    Two leaves anywhere in that order meet at the largest height between them, so the two arrays hold the whole tree.

    Args:
        linkage: float64[m - 1, 4], in scipy's form.

    Returns:
        The leaves int64[m], in the order of `scipy.cluster.hierarchy.leaves_list`, and heights float64[m - 1].

    Example:
        >>> order, heights = leaf_profile(np.array([[0, 2, 0.1, 2], [1, 3, 0.7, 3]]))
        >>> order.tolist(), heights.tolist()
        ([1, 0, 2], [0.7, 0.1])
    """
    leaves = len(linkage) + 1
    children = linkage[:, :2].astype(np.int64)
    sizes = np.concatenate([np.ones(leaves, dtype=np.int64), linkage[:, 3].astype(np.int64)])
    start = np.zeros(2 * leaves - 1, dtype=np.int64)
    heights = np.zeros(leaves - 1)
    for merge in range(leaves - 2, -1, -1):
        left, right = children[merge]
        start[left] = start[leaves + merge]
        start[right] = start[left] + sizes[left]
        heights[start[right] - 1] = linkage[merge, 2]
    order = np.empty(leaves, dtype=np.int64)
    order[start[:leaves]] = np.arange(leaves)
    return order, heights


def profile_panel(data: ReportData) -> Panel:
    """The height at which every leaf joins the one before it, with the cut."""
    title = "Saw-tooth of the dendrogram"
    if len(data.linkage) == 0:
        return Panel("saw-tooth", title, "Fewer than two checkpoints were analysed, so there is no tree.", None)
    order, heights = leaf_profile(data.linkage)
    owner, floor = _owner(data, order), _floor(heights)
    leaf = np.arange(1, len(order), dtype=np.int32)
    shown = np.maximum(heights, floor).astype(np.float32)
    between = owner[1:] != owner[:-1]
    every = -(-len(heights) // MOST_TEETH)
    starts = np.arange(0, len(heights), every)
    panel = blank_figure()
    panel.add_scatter(
        x=leaf[starts],
        y=np.fmax.reduceat(np.where(between, np.float32(np.nan), shown), starts),
        mode="lines",
        name="within a trajectory",
        line={"color": BLUE, "width": 0.9 if len(starts) > 2_000 else 1.5},
        fill="tozeroy",
        fillcolor=translucent(BLUE, 0.12),
        hovertemplate="leaf %{x}<br>joins at %{y:.4g}<extra></extra>",
    )
    jumps = evenly(np.flatnonzero(between), MOST_TEETH)
    panel.add_scatter(
        x=leaf[jumps],
        y=shown[jumps],
        mode="markers",
        name="between two",
        marker={"color": ORANGE, "size": 5 if len(jumps) < 100 else 3.5},
        hovertemplate="leaf %{x}<br>next trajectory at %{y:.4g}<extra></extra>",
    )
    _finish(panel, data, floor, (0, len(order)), float(heights.max()))
    panel.update_xaxes(title_text="checkpoints in dendrogram order")
    caption = (
        "The whole tree in one line: the height at which each checkpoint joins its left neighbour in dendrogram order. "
        "Every tooth is one trajectory: its longest steps stand at one end, its shortest at the other. Dots are the "
        "joins between two trajectories; the emptier the space around the cut, the clearer the separation."
    )
    if every > 1:
        caption += f" Each point of the line is the highest of {every} neighbours."
    if (heights <= 0).any():
        caption += f" {plural(int((heights <= 0).sum()), 'height')} of zero (equal directions) sit on the bottom line."
    return Panel("saw-tooth", title, caption, panel)


def zoom_panel(data: ReportData) -> Panel | None:
    """A classical dendrogram of the first few trajectories in dendrogram order."""
    if len(data.linkage) == 0:
        return None
    order, heights = leaf_profile(data.linkage)
    owner = _owner(data, order)
    stop, numbers = _window(owner)
    if stop < 2:
        return None
    floor = _floor(heights)
    x, y, owners = _brackets(np.maximum(heights[: stop - 1], floor), owner[:stop], floor)
    panel = blank_figure()
    for number in [*numbers, -1]:
        chosen = owners == number
        if chosen.any():
            panel.add_scatter(
                x=x[chosen].ravel(),
                y=y[chosen].ravel(),
                mode="lines",
                line={"color": GREY if number < 0 else colour(number), "width": 1.3},
                hovertemplate="height %{y:.4g}<extra></extra>",
                showlegend=False,
            )
    _finish(panel, data, floor, (-1, stop), float(heights[: stop - 1].max()))
    middles = [float(np.flatnonzero(owner[:stop] == number).mean()) for number in numbers]
    panel.update_xaxes(tickvals=middles, ticktext=[str(number) for number in numbers], ticks="")
    panel.update_xaxes(title_text="recovered trajectory")
    shown = f"The first {plural(len(numbers), 'trajectory')}" if stop < len(order) else "All trajectories"
    caption = (
        f"{shown} of the tree ({plural(stop, 'checkpoint')}) as a classical dendrogram; grey: joins between "
        "trajectories. Checkpoints of one training run join one after the other, a chain, which is why single "
        "linkage finds them."
    )
    return Panel("dendrogram", "A few trajectories, closer", caption, panel)


def _owner(data: ReportData, order: Integers) -> Integers:
    """The trajectory of every leaf in dendrogram order."""
    leaf = np.asarray(data.assignments["leaf"].to_numpy(), dtype=np.int64)
    owner = np.full(len(order), -1, dtype=np.int64)
    owner[leaf[leaf >= 0]] = data.trajectory[leaf >= 0]
    return owner[order]


def _window(owner: Integers) -> tuple[int, list[int]]:
    """How many leaves to zoom into, and whose they are: whole trajectories as long as there is room."""
    starts = np.flatnonzero(np.diff(owner, prepend=owner[0] - 1))
    ends = np.append(starts[1:], len(owner))
    fitting = int(np.searchsorted(ends, MOST_LEAVES_ZOOMED, side="right"))
    parts = max(1, min(fitting, MOST_TRAJECTORIES_ZOOMED))
    stop = min(int(ends[parts - 1]), MOST_LEAVES_ZOOMED)
    return stop, list(dict.fromkeys(owner[starts[:parts]].tolist()))


def _brackets(heights: Floats, owner: Integers, floor: float) -> tuple[Floats, Floats, Integers]:
    """The joins of a dendrogram as lines of four points and a gap, each with its trajectory (-1: between two)."""
    leaves = len(owner)
    first = np.arange(leaves)
    last = np.arange(leaves)
    middle, top = np.arange(leaves, dtype=np.float64), np.full(leaves, floor)
    x, y, owners = [], [], []
    for join in np.argsort(heights, kind="stable"):
        # Blocks of joined leaves are intervals: the left one ends at `join`, the right one starts after it. Their
        # middles and tops are kept at both of their ends.
        left, right, height = first[join], last[join + 1], heights[join]
        a, b = middle[join], middle[join + 1]
        x.append([a, a, b, b, np.nan])
        y.append([top[join], height, height, top[join + 1], np.nan])
        whole = owner[left : right + 1]
        owners.append(int(whole[0]) if (whole == whole[0]).all() else -1)
        last[left], first[right] = right, left
        for end in (left, right):
            middle[end], top[end] = (a + b) / 2, height
    return np.array(x), np.array(y), np.array(owners)


def _floor(heights: Floats) -> float:
    """The bottom of the logarithmic axis: half of the smallest height that rounding did not make."""
    positive = heights[heights > 1e-9]
    return float(positive.min()) / 2 if len(positive) else 1e-9


def _finish(panel: go.Figure, data: ReportData, floor: float, leaves: tuple[float, float], top: float) -> None:
    """Axes and cut, alike in both figures."""
    height = (data.summary.get("cut") or {}).get("height")
    if known(height) and height > floor:
        panel.add_scatter(
            x=leaves,
            y=[height, height],
            mode="lines",
            name=f"cut at {quantity(height)}",
            line={"color": INK, "width": 1, "dash": "dash"},
            hoverinfo="skip",
            showlegend=True,
        )
        top = max(top, height)
    panel.update_xaxes(range=leaves)
    panel.update_yaxes(type="log", title_text="cosine distance", dtick=1)
    panel.update_yaxes(range=[np.log10(floor), np.log10(max(top, 2 * floor)) + 0.12])
