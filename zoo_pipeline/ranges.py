"""How the epochs of a group are cut into shards, and what the shards are called."""

import re
from dataclasses import dataclass

SHARD_BYTES = 256 << 20  # raw; a shard passes this only where a single row does
# Parquet counts the bytes of a page in 31 bits, and a row lies in one page, with some bytes more than its weights.
ROW_ELEMENTS = 2**29 - 64


@dataclass(frozen=True)
class EpochRange:
    """The epochs of a group that lie in one shard.

    Attributes:
        first: the first epoch.
        last: the last epoch, inclusive.
        shard: where the shard lies in the run directory.
        rows: models × epochs.
        raw_bytes: of the rows before compression.
    """

    first: int
    last: int
    shard: str
    rows: int
    raw_bytes: int

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return self.last - self.first + 1


def most_models(epochs: int, row_bytes: int) -> int:
    """How many models a group may have: whole histories in one shard, else one epoch of all of them in each.

    Args:
        epochs: checkpoints of one model.
        row_bytes: raw bytes of one checkpoint.
    """
    history = epochs * row_bytes
    return max(1, SHARD_BYTES // (history if history <= SHARD_BYTES else row_bytes))


def cut(first: int, last: int, models: int, row_bytes: int) -> tuple[tuple[int, int], ...]:
    """The ranges first … last of epochs that fit into a shard each, as many epochs in each as possible.

    >>> cut(0, 4, models=2, row_bytes=SHARD_BYTES // 4)
    ((0, 1), (2, 3), (4, 4))
    """
    size = max(1, SHARD_BYTES // (models * row_bytes))
    return tuple((start, min(start + size - 1, last)) for start in range(first, last + 1, size))


def shard_name(group: int, first: int, last: int, *, whole: bool) -> str:
    """Where a shard lies in the run directory; `whole`: it holds all epochs of its group.

    >>> shard_name(42, 0, 25, whole=True)
    'checkpoints/group-00042.parquet'
    >>> shard_name(42, 10, 19, whole=False)
    'checkpoints/group-00042-epochs-0010-0019.parquet'
    """
    epochs = "" if whole else f"-epochs-{first:04d}-{last:04d}"
    return f"checkpoints/group-{group:05d}{epochs}.parquet"


def group_of(shard: str) -> str:
    """What the names of all shards of a group begin with.

    >>> group_of("checkpoints/group-00042.parquet"), group_of("checkpoints/group-00042-epochs-0010-0019.parquet")
    ('checkpoints/group-00042', 'checkpoints/group-00042')
    """
    return re.sub(r"(-epochs-\d+-\d+)?\.parquet$", "", shard)
