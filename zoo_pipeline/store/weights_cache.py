"""A cache of a run's weights: one local file of float32 rows that any of them can be read from at once.

The file is a line of JSON that fills the first 4,096 bytes, the weights of all rows of the run float32[n, d], and the
CRC32 of each row uint32[n], in the byte order of the machine, which the line says. It is no part of the run, and can
be removed at any time.
"""

import hashlib
import json
import mmap
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store import disk
from zoo_pipeline.store.faults import reason
from zoo_pipeline.store.reading import CheckpointFiles, RowGroup
from zoo_pipeline.store.rundir import RunDirectory

VERSION = 1
_HEAD_BYTES = 4_096
_AGAIN = "remove it, and it is made again"


class WeightsCache:
    """The rows of such a file.

    Each row is held against its CRC32 when a process reads it for the first time. The file is mapped into memory by
    the process that reads it, so that an object can be sent to others.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        """Look at a file that is there.

        Args:
            path: where it is.
            head: what its first line must say.

        Raises:
            StoreError: it says something else, or has another size.
        """
        self._path, self._head = path, head
        self._shape = int(head["rows"]), int(head["dimension"])
        self._mapped: tuple[mmap.mmap, NDArray[np.float32], NDArray[np.uint32], NDArray[np.bool_]] | None = None
        size = _HEAD_BYTES + 4 * self._shape[0] * (self._shape[1] + 1)
        try:
            with path.open("rb") as file:
                found = _read_head(file.read(_HEAD_BYTES))
            got = path.stat().st_size
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({reason(error)}); name another file as cache") from None
        if found is None:
            raise StoreError(f"{path}: is no cache of weights, or damaged; remove it, or name another file as cache")
        for key, value in head.items():
            if found.get(key) != value:
                raise StoreError(
                    f"{path}: is a cache of something else ({key} {found.get(key)!r:.40}, expected {value!r:.40}); "
                    f"remove it, or name another file"
                )
        if got != size:
            raise StoreError(f"{path}: has {got:,} bytes, expected {size:,}; it is damaged: {_AGAIN}")

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The weights float32[m, d] of some rows, by their numbers in the run.

        Raises:
            StoreError: a row is damaged.
        """
        mapped, weights, sums, checked = self._map()
        advised = _HEAD_BYTES + 4 * self._shape[1] * np.sort(rows)
        page = mmap.PAGESIZE
        for start in (advised // page * page).tolist():  # so that a disk is asked for all of them at once
            mapped.madvise(mmap.MADV_WILLNEED, start, min(4 * self._shape[1] + page, len(mapped) - start))
        taken = weights[rows]
        for at in np.flatnonzero(~checked[rows]).tolist():
            if crc32(taken[at]) != sums[rows[at]]:
                raise StoreError(f"{self._path}: row {rows[at]} is damaged (its CRC32 is another); {_AGAIN}")
        checked[rows] = True
        return taken

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": None}

    def _map(self) -> tuple[mmap.mmap, NDArray[np.float32], NDArray[np.uint32], NDArray[np.bool_]]:
        if self._mapped is None:
            with self._path.open("rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            rows, dimension = self._shape
            weights = np.frombuffer(mapped, np.float32, rows * dimension, _HEAD_BYTES).reshape(rows, dimension)
            sums = np.frombuffer(mapped, np.uint32, rows, _HEAD_BYTES + weights.nbytes)
            self._mapped = mapped, weights, sums, np.zeros(rows, dtype=bool)
        return self._mapped


def open_cache(path: Path, root: str, shards: CheckpointFiles, groups: Sequence[RowGroup]) -> WeightsCache:
    """The cache of a run; it is made where there is none, whole or not at all.

    Args:
        path: a place on a local disk.
        root: of the run.
        shards: of the run.
        groups: all its row groups.

    Raises:
        StoreError: the run is incomplete, or cannot be read; the cache cannot be written, is damaged, or another run's.
    """
    if "://" in str(path) or ":/" in str(path):
        raise StoreError(f"{path}: a cache is read at random, so it has to lie on a local disk; name a path there")
    run = RunDirectory(root)
    manifest = run.manifest
    if manifest is None:
        raise StoreError(f"{root}: incomplete, so its weights may change; make a cache when zoo train is through")
    lines = [[line["shard"], line["sha256"]] for line in manifest["shards"]]
    head = {
        "cache": VERSION,
        "spec_hash": run.spec["spec_hash"],
        "shards": hashlib.sha256(json.dumps(lines).encode()).hexdigest(),
        "rows": sum(group.rows for group in groups),
        "dimension": shards.layout.dimension,
        "byteorder": sys.byteorder,
    }
    if not path.exists():
        try:
            disk.create(path, _parts(head, shards, groups))
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({reason(error)}); name another file as cache") from None
    return WeightsCache(path, head)


def _parts(head: dict[str, Any], shards: CheckpointFiles, groups: Sequence[RowGroup]) -> Iterator[bytes | memoryview]:
    """The content of the file, one row group at a time."""
    yield (json.dumps(head) + "\n").encode().ljust(_HEAD_BYTES)
    sums: list[int] = []
    for vectors in shards.read_vectors(groups):
        sums += map(crc32, vectors)
        yield vectors.data.cast("B")
    yield np.array(sums, dtype=np.uint32).tobytes()


def _read_head(data: bytes) -> dict[str, Any] | None:
    try:
        head = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return head if isinstance(head, dict) else None
