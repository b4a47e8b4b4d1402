"""Recovery: from a shuffled bag of weights to trajectories, their order and their direction, without labels."""

from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from zoo_pipeline.errors import ZooError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.components import groups
from zoo_pipeline.trajectories.content import canonical_order, content_numbers
from zoo_pipeline.trajectories.distances import DEFAULT_MEMORY_LIMIT_BYTES, cosine_distances
from zoo_pipeline.trajectories.exchange import split_weights
from zoo_pipeline.trajectories.lineage import lineages
from zoo_pipeline.trajectories.linkage import linkage_table, spanning_tree
from zoo_pipeline.trajectories.separation import separate

Number = TypeVar("Number", np.int32, np.float32)


@dataclass(frozen=True)
class Recovery:
    """What the weights of n checkpoints say about their history: m usable rows in k trajectories.

    Attributes:
        family: int32[n], which rows share a start, as far as can be told; −1 if left out. Most families are one
            trajectory.
        trajectory: int32[n], recovered trajectory 0 … k − 1; −1 for a row left out because not all of it is finite.
        position: int32[n], place along the trajectory from 0, in the likelier direction; −1 if left out.
        progress: float32[n], position / (length − 1), 0 in a trajectory of one; NaN if left out.
        confidence: float32[n], how clearly the row belongs to its family and follows the row before it, 0 … 1; NaN if
            left out.
        leaf: int32[n], number of the row in `linkage` and `edges`: its rank by content; −1 if left out.
        content: int32[n], number of the row's content, shared by equal rows, which nothing tells apart; −1 if left out.
        linkage: float64[m − 1, 4], single linkage by cosine distance, in scipy's four columns; where the layout is
            known, of what renumbering the hidden units moves in the weights.
        edges: int32[m − 1, 2], the two leaves whose distance is the height in the same row of `linkage`.
        cut: cosine distance of the longest edge within a trajectory; where the linkage itself was cut, of the cut.
        threshold: score (`exchange_scores`) from which two rows were taken to be related; None where the linkage was
            cut.
        length: int32[k], checkpoints in each trajectory.
        parent: int32[k], the trajectory that each branched from; −1 for none.
        parent_row: int64[k], the row (of n) that each branched from; −1 for none.
        direction_decided: bool[k], whether the direction is more than the likelier guess.
        direction_confidence: float32[k], 0.5 … 1.
        seconds: wall time in s of `separation` and `ordering`, the direction included.
    """

    family: NDArray[np.int32]
    trajectory: NDArray[np.int32]
    position: NDArray[np.int32]
    progress: NDArray[np.float32]
    confidence: NDArray[np.float32]
    leaf: NDArray[np.int32]
    content: NDArray[np.int32]
    linkage: NDArray[np.float64]
    edges: NDArray[np.int32]
    cut: float
    threshold: float | None
    length: NDArray[np.int32]
    parent: NDArray[np.int32]
    parent_row: NDArray[np.int64]
    direction_decided: NDArray[np.bool_]
    direction_confidence: NDArray[np.float32]
    seconds: dict[str, float]


def recover(
    weights: NDArray[np.float32],
    layout: Layout | None = None,
    *,
    device: str | torch.device = "cpu",
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
) -> Recovery:
    """Recover trajectories, order and direction from the weights of a bag of checkpoints.

    The rows are first sorted by content, so the result follows the rows however they are shuffled, bit for bit;
    trajectories are numbered by their first row in that order. Rows with NaN or infinity are left out.

    Args:
        weights: float32[n, d].
        layout: which columns are which tensor, if known. Without it there is no null to hold distances against: the
            tree is cut at its largest gap, which errs on some zoos, and always splits a trajectory that is alone.
        device: where the distances are computed.
        memory_limit_bytes: largest size allowed for the m × m float32 distances.

    Returns:
        The recovery, its arrays aligned with the rows given.

    Raises:
        ZooError: the weights are not a float32 matrix, not of this layout, or too many for the memory limit.
    """
    weights = np.asarray(weights)
    if weights.ndim != 2 or weights.shape[1] == 0 or weights.dtype != np.float32:
        raise ZooError(
            f"analysis: weights are {weights.dtype}{list(weights.shape)}, expected float32[checkpoints, parameters]"
        )
    if layout is not None and layout.dimension != weights.shape[1]:
        raise ZooError(
            f"analysis: the layout is of {layout.dimension} weights, the checkpoints have {weights.shape[1]}"
        )
    started = perf_counter()
    n = len(weights)
    finite = np.flatnonzero(np.isfinite(weights).all(axis=1))
    kept = finite[canonical_order(weights if len(finite) == n else weights[finite])]
    bag = weights[kept]
    split = split_weights(bag, layout)
    rows = bag if split is None else split.rows.numpy()
    distances = cosine_distances(rows, precision=torch.float32, device=device, memory_limit_bytes=memory_limit_bytes)
    tree = spanning_tree(distances, rows)
    separation = separate(distances, tree, split)
    del distances, split, rows
    linkage = linkage_table(tree)
    separated = perf_counter()

    content = content_numbers(bag)
    found = lineages(bag, content, groups(separation.labels), layout)
    trajectory, position = found.places
    progress = (position / np.maximum(found.length[trajectory] - 1, 1)).astype(np.float32)
    ordered = perf_counter()

    return Recovery(
        family=_aligned(kept, n, separation.labels, -1),
        trajectory=_aligned(kept, n, trajectory, -1),
        position=_aligned(kept, n, position, -1),
        progress=_aligned(kept, n, progress, np.nan),
        confidence=_aligned(kept, n, np.minimum(separation.confidence, found.confidence).astype(np.float32), np.nan),
        leaf=_aligned(kept, n, np.arange(len(bag), dtype=np.int32), -1),
        content=_aligned(kept, n, content, -1),
        linkage=linkage,
        edges=tree.edges,
        cut=separation.cut,
        threshold=separation.threshold,
        length=found.length,
        parent=found.parent_path.astype(np.int32),
        parent_row=np.append(kept, -1)[found.parent_row],
        direction_decided=np.array([direction.decided for direction in found.directions], bool),
        direction_confidence=np.array([direction.confidence for direction in found.directions], np.float32),
        seconds={
            "separation": separated - started,
            "ordering": ordered - separated,
        },
    )


def _aligned(kept: NDArray[np.int64], n: int, values: NDArray[Number], missing: float) -> NDArray[Number]:
    """Place the values of the kept rows among all n."""
    aligned = np.full(n, missing, values.dtype)
    aligned[kept] = values
    return aligned
