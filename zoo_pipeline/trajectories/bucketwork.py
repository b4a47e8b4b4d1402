"""Work on one bucket: its rows are compared in full width, cut into families, ordered and described."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.components import groups
from zoo_pipeline.trajectories.content import canonical_order, content_numbers
from zoo_pipeline.trajectories.distances import cosine_distances
from zoo_pipeline.trajectories.exchange import split_weights
from zoo_pipeline.trajectories.geometry import Geometry, bag_geometry
from zoo_pipeline.trajectories.lineage import lineages
from zoo_pipeline.trajectories.linkage import SpanningTree, spanning_tree
from zoo_pipeline.trajectories.separation import ScoredEdges, families, score_edges

Integers = NDArray[np.int32]


@dataclass(frozen=True)
class OrderedRows:
    """The k trajectories of m rows, and how these move along them.

    Attributes:
        trajectory: int32[m].
        position: int32[m].
        confidence: float32[m], how clearly each row follows the one before it.
        length: int32[k].
        parent: int32[k], −1 for none.
        parent_row: int32[k], of m; −1 for none.
        decided: bool[k], whether the direction is.
        direction_confidence: float32[k].
        geometry: of the m rows, and of the k trajectories.
    """

    trajectory: Integers
    position: Integers
    confidence: NDArray[np.float32]
    length: Integers
    parent: Integers
    parent_row: Integers
    decided: NDArray[np.bool_]
    direction_confidence: NDArray[np.float32]
    geometry: Geometry


@dataclass(frozen=True)
class WorkedBucket:
    """What is found in m rows, which are taken in the order of their content.

    Attributes:
        order: int32[m], which of the rows given is each.
        content: int32[m], numbers of their contents.
        scored: the edges that may join them.
        tree: their minimum spanning tree.
        labels: int32[m], their families, as far as this bucket can tell.
        ordered: the trajectories of these families.
    """

    order: Integers
    content: Integers
    scored: ScoredEdges
    tree: SpanningTree
    labels: Integers
    ordered: OrderedRows


def work_bucket(rows: NDArray[np.float32], others: int, layout: Layout, device: str = "cpu") -> WorkedBucket:
    """Recover what can be told from the rows of a bucket alone.

    Args:
        rows: float32[m, d].
        others: families elsewhere, as far as sketches tell.
        layout: of the rows, with a hidden layer.
        device: where the rows are compared; they are ordered on the CPU.
    """
    order = canonical_order(rows)
    bag, content = rows[order], content_numbers(rows[order])
    split = split_weights(bag, layout, device)
    assert split is not None
    compared = split.rows.cpu().numpy()
    distances = cosine_distances(compared, precision=torch.float32, device=device)
    tree = spanning_tree(distances, compared, device)
    scored = score_edges(distances, tree, split, others)
    del distances, split, compared
    _, labels = families(scored.edges, scored.scores, len(bag), len(bag), others)
    return WorkedBucket(order.astype(np.int32), content, scored, tree, labels, _ordered(bag, content, labels, layout))


def order_bucket(rows: NDArray[np.float32], labels: Integers, layout: Layout) -> OrderedRows:
    """Order the rows of a bucket whose families are known.

    Args:
        rows: float32[m, d].
        labels: int32[m], the families of the rows in the order of their content.
        layout: of the rows.
    """
    bag = rows[canonical_order(rows)]
    return _ordered(bag, content_numbers(bag), labels, layout)


def _ordered(bag: NDArray[np.float32], content: Integers, labels: Integers, layout: Layout) -> OrderedRows:
    found = lineages(bag, content, groups(labels), layout)
    trajectory, position = found.places
    return OrderedRows(
        trajectory=trajectory,
        position=position,
        confidence=found.confidence.astype(np.float32),
        length=found.length,
        parent=found.parent_path.astype(np.int32),
        parent_row=found.parent_row.astype(np.int32),
        decided=np.array([direction.decided for direction in found.directions], bool),
        direction_confidence=np.array([direction.confidence for direction in found.directions], np.float32),
        geometry=bag_geometry(bag, trajectory, position),
    )
