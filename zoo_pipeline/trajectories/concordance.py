"""Concordance: Kendall's comparison of two orders, pair by pair."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Concordance:
    """Pairs of checkpoints of one true trajectory, compared with their recovered positions.

    Attributes:
        pairs: pairs that the truth orders and the weights can tell apart.
        balance: pairs recovered in the true order minus pairs recovered against it.
    """

    pairs: int
    balance: int

    @property
    def tau(self) -> float:
        """Kendall's τ in [−1, 1]: balance / pairs; NaN without pairs."""
        return self.balance / self.pairs if self.pairs else float("nan")


def concordance(
    epoch: NDArray[np.integer],
    position: NDArray[np.integer],
    content: NDArray[np.integer],
    placed: NDArray[np.bool_] | None = None,
) -> Concordance:
    """Compare the true and the recovered order of m checkpoints.

    Pairs of equal epoch or equal content are not counted at all. A pair with a checkpoint that is not placed counts
    among the pairs and adds nothing to the balance. Without either, τ is `scipy.stats.kendalltau`. O(m²).

    Args:
        epoch: int[m], the true order.
        position: int[m], the recovered order.
        content: int[m], equal for checkpoints with equal weights.
        placed: bool[m], which checkpoints stand in the recovered order; None for all.

    Returns:
        The counts.
    """
    if placed is None:
        placed = np.ones(len(epoch), bool)
    pairs = balance = 0
    for start in range(0, len(epoch), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        later = np.sign(epoch[None, :] - epoch[block, None]).astype(np.int8)
        later *= content[None, :] != content[block, None]
        pairs += int(np.count_nonzero(later))
        later *= np.sign(position[None, :] - position[block, None]).astype(np.int8)
        later *= placed[None, :] & placed[block, None]
        balance += int(later.sum(dtype=np.int64))
    return Concordance(pairs // 2, balance // 2)
