"""Neighbours: pairs of rows that are alike by their sketches, found without looking at all pairs."""

from functools import partial
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_pipeline.trajectories.crew import Crew

ALL_PAIRS_UP_TO = 8_192
_KEPT = 4  # neighbours of each row from each list
_BLOCK_ROWS = 4_096
_LISTED_ROWS = 65_536  # that are worked on at once

Codes = NDArray[Any]  # int8 or float32


def alike(codes: Codes, least: float, lists: int, crew: Crew) -> NDArray[np.int64]:
    """Pair each row with the few that are most alike to it.

    Up to `ALL_PAIRS_UP_TO` rows all are compared. Of more, every √n-th is a pivot, each row goes on the lists of the
    pivots nearest to it, and is compared with the others there: O(n^1.5).

    Args:
        codes: int8[n, k] or float32[n, k], of any lengths, in an order that has nothing to do with how alike rows are.
        least: cosine that a pair has at least.
        lists: that each row is put on; with more of them fewer pairs are missed.
        crew: who compares.

    Returns:
        int64[p, 2], pairs of rows; a pair can come twice.
    """
    n = len(codes)
    if n <= ALL_PAIRS_UP_TO:
        return _within(codes, least, np.arange(n), "cpu")
    pivots = np.ascontiguousarray(codes[:: max(1, n // isqrt(n))])
    starts = [*range(0, n, _LISTED_ROWS), n]
    chosen = np.concatenate(list(crew.map(partial(_listed, codes, pivots, lists), list(pairwise(starts))))).reshape(-1)
    order = np.argsort(chosen, kind="stable")
    sizes = np.bincount(chosen, minlength=len(pivots))
    members = np.split((order // lists).astype(np.int32), np.cumsum(sizes)[:-1])
    batch = np.cumsum(sizes) // _LISTED_ROWS
    batches = [[members[number] for number in np.flatnonzero(batch == which)] for which in np.unique(batch)]
    return np.concatenate(list(crew.map(partial(_paired, codes, least), batches)))


def _listed(codes: Codes, pivots: Codes, lists: int, rows: tuple[int, int], *, device: str) -> NDArray[np.int32]:
    """The lists that some rows go on, int32[m, lists]."""
    to = _units(pivots, device).T.contiguous()
    chosen = [
        (_units(codes[start : min(start + _BLOCK_ROWS, rows[1])], device) @ to).topk(lists, 1).indices
        for start in range(*rows, _BLOCK_ROWS)
    ]
    return torch.cat(chosen).to(torch.int32).cpu().numpy()


def _paired(codes: Codes, least: float, lists: list[NDArray[np.int32]], *, device: str) -> NDArray[np.int64]:
    """The best pairs of some lists."""
    return np.concatenate([_within(codes, least, members, device) for members in lists])


def _within(codes: Codes, least: float, members: NDArray[np.integer], device: str) -> NDArray[np.int64]:
    """The best pairs among some rows."""
    pairs = [np.empty((0, 2), np.int64)]
    own = _units(codes[members], device)
    for start in range(0, len(own), _BLOCK_ROWS):
        cosines = own[start : start + _BLOCK_ROWS] @ own.T
        cosines.diagonal(start).fill_(-torch.inf)
        value, other = (best.cpu() for best in cosines.topk(min(_KEPT, len(own)), 1))
        chosen = value >= least
        row = torch.arange(start, start + len(cosines))[:, None].expand_as(other)
        pairs.append(np.stack([members[row[chosen].numpy()], members[other[chosen].numpy()]], 1).astype(np.int64))
    return np.concatenate(pairs)


def _units(codes: Codes, device: str) -> Tensor:
    return torch.nn.functional.normalize(torch.tensor(codes, device=device).float())
