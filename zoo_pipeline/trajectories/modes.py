"""Modes: comparing every row with every other, or only with those that are alike by their sketches."""

from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import ZooError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.distances import MOST_CHECKPOINTS
from zoo_pipeline.trajectories.exchange import HiddenUnits
from zoo_pipeline.trajectories.geometry import Geometry, bag_geometry
from zoo_pipeline.trajectories.recovery import Recovery, recover

EXACT, APPROXIMATE = "exact", "approximate"
EXACT_UP_TO = 10_000  # rows; of more, the other mode finds the same in less time


def mode_of(rows: int, layout: Layout | None) -> str:
    """The mode that a bag's size asks for.

    Sketches are of what renumbering the hidden units moves: without a layout, or with hardly any hidden units, the mode
    is exact.

    Raises:
        ZooError: there are too many rows for that.
    """
    if rows <= EXACT_UP_TO:
        return EXACT
    if layout is not None and HiddenUnits.of(layout).tell:
        return APPROXIMATE
    if rows > MOST_CHECKPOINTS:
        why, remedy = (
            ("of networks with hardly any hidden units", "")
            if layout
            else (
                "of unknown layout",
                "say by --layout FILE.json which weights are which tensor (docs/format.md has the JSON), or ",
            )
        )
        raise ZooError(
            f"analysis: {rows:,} checkpoints {why} would be compared each with each; expected at most "
            f"{MOST_CHECKPOINTS:,}: {remedy}analyse fewer at once"
        )
    return EXACT


def recover_exactly(weights: NDArray[np.float32], layout: Layout | None) -> tuple[Recovery, Geometry]:
    """Recover a bag's trajectories and their geometry, comparing every row with every other.

    Args:
        weights: float32[n, d].
        layout: which columns are which tensor, if known.

    Returns:
        The recovery, its `seconds` with the geometry's, and the geometry.

    Raises:
        ZooError: as in `recover`.
    """
    recovery = recover(weights, layout)
    started = perf_counter()
    geometry = bag_geometry(weights, recovery.trajectory, recovery.position)
    return replace(recovery, seconds=recovery.seconds | {"geometry": perf_counter() - started}), geometry
