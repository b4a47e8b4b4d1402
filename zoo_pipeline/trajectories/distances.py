"""Cosine distances: all pairs as one matrix, and chosen pairs to full float64 accuracy."""

from dataclasses import dataclass
from math import isqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_pipeline.counts import binary
from zoo_pipeline.errors import ZooError
from zoo_pipeline.trajectories.magnitudes import in_range

DEFAULT_MEMORY_LIMIT_BYTES = 4 * 2**30
MOST_CHECKPOINTS = isqrt(DEFAULT_MEMORY_LIMIT_BYTES // 4)  # whose distances, float32, fit into it
_BLOCK_ROWS = 1024
_TILE_ROWS = 256
_CACHED_ROWS = 64


def cosine_distances(
    weights: NDArray[np.float32],
    *,
    precision: torch.dtype = torch.float64,
    device: str | torch.device = "cpu",
    memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
) -> NDArray[np.float32]:
    """Compute 1 − cos of every pair of rows by blocked matrix products.

    The products are taken in float64 and only the result is rounded to float32: in float32, 1 − cos would be wrong by
    about 1e-7, which is as long as a late training step. Where that does no harm, they take half the time. A row of
    norm zero has no direction: its distance is 1 to every other row and 0 to another zero row. Memory: the result, one
    copy of the rows and one block.

    Args:
        weights: float32[n, d], all finite.
        precision: of the products, float64 or float32.
        device: where they run.
        memory_limit_bytes: largest size allowed for the result.

    Returns:
        float32[n, n], exactly symmetric, with a zero diagonal and no negative entry.

    Raises:
        ZooError: the result would pass the memory limit.
    """
    n = len(weights)
    if n * n * 4 > memory_limit_bytes:
        most = int((memory_limit_bytes / 4) ** 0.5)
        raise ZooError(
            f"analysis: the distances of {n:,} checkpoints need {binary(n * n * 4)}, "
            f"limit {binary(memory_limit_bytes)}: analyse at most {most:,} checkpoints at once"
        )
    distances = np.empty((n, n), np.float32)
    result = torch.from_numpy(distances)
    units = torch.tensor(in_range(weights), dtype=precision, device=device)
    norms = torch.linalg.vector_norm(units, dim=1, keepdim=True)
    units /= torch.where(norms == 0, 1.0, norms)
    one = torch.ones(1, dtype=precision, device=device)
    for start in range(0, n, _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, n)
        block = torch.addmm(one, units[start:stop], units[start:].T, alpha=-1).clamp_(min=0).float().cpu()
        square = block[:, : stop - start]
        square.copy_((square + square.T) / 2).fill_diagonal_(0)
        result[start:stop, start:] = block
        for tile in range(stop, n, _TILE_ROWS):  # a whole block would be turned around outside the cache
            below = slice(tile, min(tile + _TILE_ROWS, n))
            result[below, start:stop] = block[:, below.start - start : below.stop - start].T
    zero = torch.nonzero(norms[:, 0] == 0).flatten().cpu()
    result[zero[:, None], zero] = 0
    return distances


def cosine_distance_of_pairs(
    weights: NDArray[np.float32], first: NDArray[np.integer], second: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Compute the cosine distance of chosen pairs of rows without cancellation.

    Uses 1 − cos = ½‖u − v‖² for unit vectors u and v, which keeps its relative accuracy down to distances of about
    1e-15 and is exactly 0 for equal rows. Rows of norm zero are treated as in `cosine_distances`.

    Args:
        weights: float32[n, d], all finite.
        first: int[p], row numbers.
        second: int[p], row numbers.

    Returns:
        float64[p].
    """
    result = np.empty(len(first), np.float64)
    used, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, two = torch.from_numpy(place.reshape(2, -1))
    rows = torch.from_numpy(weights)
    if len(used) > _BLOCK_ROWS:  # too many to hold them twice
        for start in range(0, len(first), _BLOCK_ROWS // 2):
            some = slice(start, start + _BLOCK_ROWS // 2)
            result[some] = cosine_distance_of_pairs(weights, first[some], second[some])
        return result
    units = UnitRows.of(rows[torch.from_numpy(used)])
    return units.distances(one, two)


@dataclass(frozen=True)
class UnitRows:
    """Some rows scaled to length one, float64[n, d]; rows of zeros stay zero and are marked, bool[n]."""

    units: Tensor
    zero: Tensor

    @classmethod
    def of(cls, rows: Tensor) -> "UnitRows":
        """Scale rows."""
        units = rows.double()
        norms = torch.linalg.vector_norm(units, dim=1, keepdim=True)
        zero = norms == 0
        return cls(units.div_(norms.masked_fill_(zero, 1.0)), zero[:, 0])

    def every_distance(self) -> NDArray[np.float32]:
        """All cosine distances, as `cosine_distances` of the rows, float32[n, n]."""
        products = self.units @ self.units.T
        distances = (1 - (products + products.T) / 2).clamp_(min=0).fill_diagonal_(0)
        distances[self.zero[:, None] & self.zero] = 0
        return distances.float().cpu().numpy()

    def distances(self, one: Tensor, two: Tensor) -> NDArray[np.float64]:
        """Those of pairs of rows int64[p], as `cosine_distance_of_pairs`."""
        one, two = one.to(self.units.device), two.to(self.units.device)
        result = self.units.new_empty(len(one))
        for start in range(0, len(one), _CACHED_ROWS):
            some = slice(start, start + _CACHED_ROWS)
            result[some] = (self.units[one[some]] - self.units[two[some]]).square_().sum(1).mul_(0.5)
        result[self.zero[one] != self.zero[two]] = 1.0
        return result.cpu().numpy()
