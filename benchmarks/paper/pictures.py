"""The paper's figures, redrawn from our networks."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.drawing import BLUE, ORANGE, PALETTE, Axis, Chart, write_svg
from benchmarks.paper.geometry import Course
from benchmarks.paper.heights import Dendrogram
from zoo_pipeline.report.embedding import principal_components
from zoo_pipeline.trajectories.scenarios import KnownBag

SKY = PALETTE[4]
TEETH = 4  # trajectories of a dendrogram that are shown
MOST_PATHS = 24  # trajectories in the plane
Floats = NDArray[np.float64]


def draw_widths(path: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Separation and ordering against width; one row of charts per population."""
    charts = []
    for name, measured in rows.items():
        wide = Axis("width", measured[0]["width"], measured[-1]["width"], logarithmic=True)
        separation = Chart(f"{name}: separation (dashed: random projection)", wide, Axis("adjusted Rand index", 0, 1))
        ordering = Chart(f"{name}: ordering", wide, Axis("mean |τ|", 0, 1))
        for chart, side, figure, colour, label in (
            (separation, "ours", "ari_number_given", SKY, "ours, number given"),
            (separation, "ours", "ari", BLUE, "ours"),
            (separation, "paper", "ari_number_given", ORANGE, "the paper's rule, number given"),
            (ordering, "ours", "kendall_tau_mean", BLUE, "ours"),
            (ordering, "paper", "kendall_tau_mean", ORANGE, "the paper's rule"),
        ):
            for reduction in ("svd", "random"):
                chosen = [row for row in measured if row["reduction"] in ("none", reduction)]
                widths, values = [row["width"] for row in chosen], [row[side][figure] for row in chosen]
                dashed = reduction == "random"
                chart.line(widths, values, colour, "" if dashed else label, dashed=dashed)
        charts += [separation, ordering]
    write_svg(path, charts)


def draw_teeth(path: Path, trees: Mapping[str, Sequence[Dendrogram]], models: Mapping[str, NDArray[np.int64]]) -> None:
    """The saw-tooth of the first few trajectories in dendrogram order; one row of charts per population."""
    charts = []
    for name, dendrograms in trees.items():
        for tree in dendrograms:
            model = models[name][tree.leaves]
            starts = np.flatnonzero(np.diff(model)) + 1
            stop = int(starts[TEETH - 1]) if len(starts) >= TEETH else len(model)
            heights, joins = tree.heights[: stop - 1], np.diff(model[:stop]) != 0
            log = tree.metric == "cosine"
            low = heights[heights > 0].min() / 2 if log else 0.0
            height = Axis(f"{tree.metric} distance", low, float(heights.max() * (2 if log else 1.1)), log)
            chart = Chart(f"{name}: {tree.metric} single linkage", Axis("leaf", 0, stop), height)
            leaf = np.arange(1, stop)
            chart.line(leaf, np.where(joins, np.nan, heights), BLUE, "within a trajectory", width=1.2)
            charts.append(chart.dots(leaf[joins], heights[joins], ORANGE, "between two", radius=2.5))
    write_svg(path, charts)


def draw_plane(path: Path, bags: Mapping[str, KnownBag], way: str) -> None:
    """Trajectories in the plane, by principal components or by UMAP; one chart per population."""
    charts = []
    for name, bag in bags.items():
        points = plane(bag.weights, way)
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.04 * (high - low)
        x, y = (Axis("", start, end) for start, end in zip(low - margin, high + margin, strict=True))
        chart = Chart(f"{name}: {'principal components' if way == 'pca' else 'UMAP'}", x, y)
        for model in range(min(bag.models, MOST_PATHS)):
            rows = np.flatnonzero(bag.model_id == model)
            rows = rows[np.argsort(bag.epoch[rows])]
            colour = PALETTE[model % len(PALETTE)]
            chart.line(points[rows, 0], points[rows, 1], colour, width=0.8)
            chart.dots(points[rows, 0], points[rows, 1], colour, radius=1.2)
        charts.append(chart)
    write_svg(path, charts)


def plane(weights: NDArray[np.float32], way: str) -> Floats:
    """Two coordinates of every checkpoint, float64[n, 2].

    Args:
        weights: float32[n, d].
        way: "pca", or "umap" with the extra of that name.
    """
    if way == "pca":
        return principal_components(weights, 2)[0].astype(np.float64)
    umap = import_module("umap").UMAP(random_state=0, n_jobs=1)
    return np.asarray(umap.fit_transform(weights), np.float64)


def draw_courses(path: Path, courses: Mapping[str, Course]) -> None:
    """Step length, curvature and smoothness over training, quartiles over the models; one row per population."""
    charts = []
    for name, course in courses.items():
        epochs = Axis("epoch", 0, course.cosine.shape[1] - 1)
        for label, log, quartiles in (
            ("step length", True, course.step_length),
            ("curvature", True, course.curvature),
            ("cosine of steps", False, course.cosine),
        ):
            epoch = np.flatnonzero(np.isfinite(quartiles[1]))
            lower, middle, upper = quartiles[:, epoch]
            low, high = (lower.min() / 1.2, upper.max() * 1.2) if log else (min(0.0, lower.min()), 1.0)
            chart = Chart(f"{name}: {label}", epochs, Axis(label, float(low), float(high), log))
            chart.band(epoch, lower, upper, BLUE)
            charts.append(chart.line(epoch, middle, BLUE))
    write_svg(path, charts, columns=3)
