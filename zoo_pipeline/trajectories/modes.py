"""Modes: comparing every row with every other, or only with those that are alike by their sketches."""

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.approximate import recover_in_shares
from zoo_pipeline.trajectories.exchange import HiddenUnits
from zoo_pipeline.trajectories.geometry import Geometry, bag_geometry
from zoo_pipeline.trajectories.recovery import Recovery, recover

EXACT, APPROXIMATE = "exact", "approximate"
EXACT_UP_TO = 20_000  # rows
_READ_ROWS = 2_048


def recover_bag(weights: NDArray[np.float32], layout: Layout | None) -> tuple[Recovery, Geometry, str]:
    """Recover a bag's trajectories and their geometry, in the mode that its size asks for.

    Sketches are of what renumbering the hidden units moves: without a layout, or a hidden layer, the mode is exact.

    Args:
        weights: float32[n, d].
        layout: which columns are which tensor, if known.

    Returns:
        The recovery, its `seconds` with the geometry's, the geometry, and the mode.

    Raises:
        ZooError: as in `recover` and `recover_in_shares`.
    """
    if len(weights) > EXACT_UP_TO and layout is not None and HiddenUnits.of(layout).sizes:

        def read(share: int) -> Iterator[NDArray[np.float32]]:
            yield weights[share * _READ_ROWS : (share + 1) * _READ_ROWS]

        return *recover_in_shares(read, -(-len(weights) // _READ_ROWS), layout), APPROXIMATE
    recovery = recover(weights, layout)
    started = perf_counter()
    geometry = bag_geometry(weights, recovery.trajectory, recovery.position)
    return replace(recovery, seconds=recovery.seconds | {"geometry": perf_counter() - started}), geometry, EXACT
