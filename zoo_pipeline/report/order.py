"""Recovered position against true epoch."""

import numpy as np
import numpy.typing as npt

from zoo_pipeline.report.content import Integers, ReportData, texts
from zoo_pipeline.report.formats import count, share
from zoo_pipeline.report.panel import Panel
from zoo_pipeline.report.theme import BLUE, GREY, MUTED, ORANGE, blank_figure

MOST_BINS = 90

RIGHT, REVERSIBLE, WRONG = "in its place", "direction undecided", "elsewhere"


def order_panel(data: ReportData) -> Panel:
    """Counts of checkpoints by true epoch and recovered position, the misplaced ones in a colour of their own."""
    title = "Recovered position against true epoch"
    rows = np.flatnonzero((data.trajectory >= 0) & (data.epoch >= 0) & (data.model >= 0))
    if not len(rows):
        return Panel("order", title, "The true epochs are unknown, so the order cannot be compared.", None)
    epoch, position = data.epoch[rows], data.position[rows]
    expected = ranks(data.model[rows], epoch)
    verdict = np.where(_undecided(data)[rows], REVERSIBLE, WRONG)
    verdict[position == expected] = RIGHT
    width = 1 + int(max(epoch.max(), position.max())) // MOST_BINS
    figure = blank_figure()
    limit = int(max(epoch.max(), position.max()))
    figure.add_scatter(
        x=[epoch.min(), epoch.max()],
        y=[expected.min(), expected.max()],
        mode="lines",
        line={"color": GREY, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        showlegend=False,
    )
    largest = float(np.clip(440 / max(1, limit // width), 4.5, 12))
    cells = {
        kind: _cells(epoch[verdict == kind], position[verdict == kind], width) for kind in (RIGHT, REVERSIBLE, WRONG)
    }
    most = max(int(counts.max()) for _, counts in cells.values() if len(counts))
    for kind, tone in ((RIGHT, BLUE), (REVERSIBLE, MUTED), (WRONG, ORANGE)):
        corners, counts = cells[kind]
        if not len(counts):
            continue
        figure.add_scatter(
            x=corners[:, 0],
            y=corners[:, 1],
            mode="markers",
            name=f"{kind} ({count((verdict == kind).sum())})",
            marker={
                "color": tone,
                "size": 3.5 + (largest - 3.5) * np.sqrt(counts / most),
                "opacity": 0.85,
                "line": {"width": 0},
            },
            customdata=counts,
            hovertemplate="epoch %{x}, position %{y}: %{customdata} checkpoints<extra></extra>",
        )
    figure.update_layout(showlegend=True, legend_itemsizing="constant")
    figure.update_xaxes(title_text="true epoch", range=[-0.04 * limit - 0.5, 1.04 * limit + 0.5])
    figure.update_yaxes(title_text="recovered position", range=[-0.04 * limit - 0.5, 1.04 * limit + 0.5])
    in_place = float((verdict == RIGHT).mean())
    caption = (
        f"Every dot counts the checkpoints of one epoch that were put at one position, over all models; its area "
        f"grows with the count. A perfect order is the diagonal: {share(in_place)} of {count(len(rows))} checkpoints "
        "lie at exactly the place of their epoch, the direction of time included."
    )
    if width > 1:
        caption += f" Epochs and positions are counted in steps of {width}."
    return Panel("order", title, caption, figure, "square")


def ranks(group: Integers, value: Integers) -> Integers:
    """The place of every value among those of its group, from 0.

    >>> ranks(np.array([0, 0, 1, 0]), np.array([5, 1, 9, 3])).tolist()
    [2, 0, 0, 1]
    """
    order = np.lexsort((value, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=group[order[0]] - 1))
    sizes = np.diff(np.append(starts, len(group)))
    place = np.empty(len(group), dtype=np.int64)
    place[order] = np.arange(len(group)) - np.repeat(starts, sizes)
    return place


def _undecided(data: ReportData) -> npt.NDArray[np.bool_]:
    """bool[n]: whether the direction of the trajectory that a checkpoint lies on is undecided."""
    numbers = data.trajectories["trajectory"].to_numpy()
    undecided = [direction == "undecided" for direction in texts(data.trajectories, "direction")]
    return np.isin(data.trajectory, numbers[np.array(undecided, dtype=bool)])


def _cells(epoch: Integers, position: Integers, width: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The lower corners of the cells that hold something, and how many they hold."""
    pairs = np.stack([epoch // width, position // width], axis=1)
    corners, counts = np.unique(pairs, axis=0, return_counts=True)
    return (corners * width).astype(np.int32), counts.astype(np.int32)
