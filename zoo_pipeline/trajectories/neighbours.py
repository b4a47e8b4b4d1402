"""Neighbours: pairs of rows that are alike by their sketches, found without looking at all pairs."""

from math import isqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ALL_PAIRS_UP_TO = 8_192
_LISTS = 2  # that each row is put on
_KEPT = 4  # neighbours of each row from each list
_BLOCK_ROWS = 4_096


def alike(units: NDArray[np.float32], least: float) -> NDArray[np.int64]:
    """Pair each row with the few that are most alike to it.

    Up to `ALL_PAIRS_UP_TO` rows all are compared. Of more, every √n-th is a pivot, each row goes on the lists of the
    pivots nearest to it, and is compared with the others there: O(n^1.5).

    Args:
        units: float32[n, k], of length 1, in an order that has nothing to do with how alike rows are.
        least: cosine that a pair has at least.

    Returns:
        int64[p, 2], pairs of rows; a pair can come twice.
    """
    rows = torch.from_numpy(units)
    n = len(rows)
    if n <= ALL_PAIRS_UP_TO:
        return _within(rows, torch.arange(n), least).numpy()
    pivots = rows[:: max(1, n // isqrt(n))].T.contiguous()
    lists = torch.cat([(block @ pivots).topk(_LISTS, 1).indices for block in torch.split(rows, _BLOCK_ROWS)])
    number, place = lists.flatten().sort(stable=True)
    sizes = torch.bincount(number).tolist()
    member = place // _LISTS
    return torch.cat([_within(rows, members, least) for members in torch.split(member, sizes)]).numpy()


def _within(rows: Tensor, members: Tensor, least: float) -> Tensor:
    """The best pairs among some rows."""
    pairs = [torch.empty(0, 2, dtype=torch.int64)]
    own = rows[members]
    for start in range(0, len(own), _BLOCK_ROWS):
        cosines = own[start : start + _BLOCK_ROWS] @ own.T
        cosines.diagonal(start).fill_(-torch.inf)
        value, other = cosines.topk(min(_KEPT, len(own)), 1)
        chosen = value >= least
        row = torch.arange(start, start + len(cosines))[:, None].expand_as(other)
        pairs.append(torch.stack([members[row[chosen]], members[other[chosen]]], 1))
    return torch.cat(pairs)
