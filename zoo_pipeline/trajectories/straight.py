"""Straight families: those whose spanning tree is their path already, many at a time.

Most trajectories are like that, and ordering them one by one would spend its time on Python.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_pipeline.trajectories.ordering import LEAST_GAIN, LONGEST_SEGMENT
from zoo_pipeline.trajectories.witnesses import is_settled

Path = NDArray[np.int64]

_LONGEST = 256  # rows of a path that is looked at together with others
_BATCH_BYTES = 64 << 20
_WORK_PER_ROW = 256  # numbers that `is_settled` holds of a row


def straight_paths(weights: NDArray[np.float32], families: Sequence[NDArray[np.int64]]) -> list[Path | None]:
    """Order the rows of each straight family as `order_along_path` does, where no two distances tie.

    Args:
        weights: float32[n, d].
        families: the rows of each.

    Returns:
        Of each family its rows along the path; None where the tree branches, or the path is not the final one.
    """
    paths: list[Path | None] = [None] * len(families)
    lengths = np.array([len(family) for family in families], np.int64)
    for length in np.unique(lengths[(lengths > 2) & (lengths <= _LONGEST)]).tolist():
        alike = np.flatnonzero(lengths == length)
        several = max(1, _BATCH_BYTES // (8 * length * max(weights.shape[1], length, _WORK_PER_ROW)))
        for start in range(0, len(alike), several):
            numbers = alike[start : start + several]
            rows = np.stack([families[number] for number in numbers])
            orders, straight = _orders(torch.from_numpy(weights[rows.reshape(-1)].reshape(*rows.shape, -1)).double())
            for number, row, order in zip(numbers[straight], rows[straight], orders[straight], strict=True):
                paths[number] = row[order]
    return paths


def _orders(points: Tensor) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Order k families of points float64[k, m, d] along their trees: int64[k, m], and whether that is their path."""
    k, m, _ = points.shape
    points = points - points.mean(1, keepdim=True)
    gram = torch.bmm(points, points.mT)
    squares = gram.diagonal(dim1=1, dim2=2)
    distances = (squares[:, :, None] + squares[:, None, :] - 2 * gram).clamp_(min=0).sqrt_()
    distances.diagonal(dim1=1, dim2=2).zero_()
    parent = _trees(distances)
    every, child = torch.arange(k)[:, None], torch.arange(1, m)
    adjacent = torch.zeros(k, m, m, dtype=torch.bool)
    adjacent[every, child, parent[:, 1:]] = True
    adjacent |= adjacent.mT.clone()
    straight = adjacent.sum(2).amax(1) <= 2
    orders = _walks(adjacent, straight)
    along = distances.gather(1, orders[:, :, None].expand(-1, -1, m)).gather(2, orders[:, None].expand(-1, m, -1))
    straight &= ~_improvable(along)
    found = straight.numpy()
    found[found] = is_settled(along[straight].numpy())
    return orders.numpy(), found


def _trees(distances: Tensor) -> Tensor:
    """Minimum spanning trees by Prim's algorithm, all grown together: each point's parent, int64[k, m]."""
    k, m, _ = distances.shape
    every = torch.arange(k)
    nearest, parent = distances[:, 0].clone(), torch.zeros(k, m, dtype=torch.int64)
    outside = torch.ones(k, m, dtype=torch.bool)
    outside[:, 0] = False
    for _ in range(m - 1):
        point = nearest.masked_fill(~outside, torch.inf).argmin(1)
        outside[every, point] = False
        row = distances[every, point]
        closer = (row < nearest) & outside
        nearest = torch.where(closer, row, nearest)
        parent = torch.where(closer, point[:, None], parent)
    return parent


def _walks(adjacent: Tensor, straight: Tensor) -> Tensor:
    """Walk along paths bool[k, m, m] from their end with the lower number: int64[k, m]; of others, nothing sensible."""
    k, m, _ = adjacent.shape
    every = torch.arange(k)
    orders = torch.zeros(k, m, dtype=torch.int64)
    left = adjacent.clone()
    at = (adjacent.sum(2) == 1).to(torch.int8).argmax(1)
    for place in range(m):
        orders[:, place] = at
        left[every, :, at] = False
        at = left[every, at].to(torch.int8).argmax(1)
    return torch.where(straight[:, None], orders, torch.arange(m))


def _improvable(distances: Tensor) -> Tensor:
    """Whether one of the moves of `ordering.shortened` would shorten paths: bool[k].

    Args:
        distances: float64[k, m, m] of the points in the order of their path.
    """
    k, m, _ = distances.shape
    # A point at distance 0 from all others, at both ends, makes moves at the ends like any other.
    padded = torch.zeros(k, m + 2, m + 2, dtype=distances.dtype)
    padded[:, 1:-1, 1:-1] = distances
    edge = padded.diagonal(1, 1, 2)  # [k, m + 1], from place to place + 1
    best = torch.full((k,), -torch.inf, dtype=distances.dtype)
    place = torch.arange(m)
    reversal = edge[:, :m, None] + edge[:, None, 1:] - padded[:, :m, 1 : m + 1] - padded[:, 1 : m + 1, 2:]
    best = torch.maximum(best, reversal.masked_fill(place[None, :] <= place[:, None], -torch.inf).amax((1, 2)))
    gap = torch.arange(m + 1)
    for length in range(1, min(LONGEST_SEGMENT, m - 1) + 1):
        start = torch.arange(1, m + 2 - length)
        head, tail = padded[:, 1 : m + 2 - length], padded[:, length : m + 1]
        removal = edge[:, : m + 1 - length] + edge[:, length:] - padded.diagonal(length + 1, 1, 2)
        detour = torch.minimum(head[:, :, :-1] + tail[:, :, 1:], tail[:, :, :-1] + head[:, :, 1:])
        gain = removal[:, :, None] + edge[:, None] - detour
        own = (gap >= start[:, None] - 1) & (gap < start[:, None] + length)
        best = torch.maximum(best, gain.masked_fill(own, -torch.inf).amax((1, 2)))
    return best > LEAST_GAIN * edge.sum(1)
