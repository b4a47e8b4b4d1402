"""Training states on disk: what a group's training goes on from after an interruption (docs/format.md).

A state is one file, named by the hash of its content, so that attempts at the same group never harm each other's. It
is read without unpickling anything, and keeps every bit.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.disk import Buffer
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import STATES

MAGIC = b"zoo state 1\n"
_NAME = re.compile(r"group-(\d+)-epoch-(\d+)-([0-9a-f]{12})\.state")
KEPT = 2  # states of a range: the one before the latest is for the case that the latest is damaged
_KINDS = "biuf"  # of NumPy types: plain numbers

Arrays = Mapping[str, NDArray[Any]]


class DamagedStateError(StoreError):
    """A training state was read, and is not what it should be."""


@dataclass(frozen=True)
class Origin:
    """Where an epoch range starts, and how it is computed: equal for all states that may be continued to its end.

    Attributes:
        group: number of the group.
        spec_hash: of the run.
        engine: what engine.json says of how to compute.
        range_first: first epoch of the range.
        start_state: sha256 of the state that the range started from; empty where training started there.
    """

    group: int
    spec_hash: str
    engine: dict[str, Any]
    range_first: int
    start_state: str


@dataclass(frozen=True)
class TrainingState:
    """A group in training after some epoch.

    Attributes:
        origin: of the range that it lies in, or at the end of which it lies.
        epoch: passes over the training data so far.
        arrays: what training goes on from, by name.
        rows: the checkpoints of the range so far, by name; empty at the end of a range, where a shard has them.
    """

    origin: Origin
    epoch: int
    arrays: Arrays
    rows: Arrays


@dataclass(frozen=True)
class StateName:
    """What a state's file name says."""

    group: int
    epoch: int
    sha12: str

    @property
    def path(self) -> str:
        """Where it lies in the run directory."""
        return f"{STATES}/group-{self.group:05d}-epoch-{self.epoch:05d}-{self.sha12}.state"


def publish_state(files: Files, state: TrainingState) -> str:
    """Publish a state, and return its sha256.

    Raises:
        StoreError: it cannot be written.
    """
    tables = {"state": state.arrays, "rows": state.rows}
    header = {
        **asdict(state.origin),
        "epoch": state.epoch,
        **{table: [[name, a.dtype.str, a.shape] for name, a in arrays.items()] for table, arrays in tables.items()},
    }
    text = json.dumps(header, sort_keys=True).encode()
    parts: list[Buffer] = [MAGIC, len(text).to_bytes(8, "little"), text]
    parts += [part for arrays in tables.values() for array in arrays.values() for part in _parts(array)]
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    files.publish(StateName(state.origin.group, state.epoch, sha.hexdigest()[:12]).path, *parts)
    return sha.hexdigest()


def read_state(files: Files, name: StateName, sha256: str | None = None) -> TrainingState:
    """Read a state; the arrays are read-only views of one buffer.

    Args:
        files: of the run.
        name: which state.
        sha256: the hash that it must have; None: the one that its name begins.

    Raises:
        StoreError: it is absent or damaged.
    """
    data = files.read(name.path)
    found = hashlib.sha256(data).hexdigest()
    if not found.startswith(name.sha12) or sha256 not in (None, found):
        raise DamagedStateError(f"{files.at(name.path)}: damaged (its sha256 is {found})")
    try:
        return _decode(data)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedStateError(f"{files.at(name.path)}: is no training state ({error})") from None


def state_names(files: Files, group: int) -> list[StateName]:
    """The states of a group, latest epoch first."""
    found = [_NAME.fullmatch(name) for name in files.names(STATES)]
    names = [StateName(int(match[1]), int(match[2]), match[3]) for match in found if match]
    return sorted((name for name in names if name.group == group), key=lambda name: (-name.epoch, name.sha12))


def latest_state(
    files: Files, origin: Origin, last: int, damaged: Callable[[str], None] = lambda _: None
) -> TrainingState | None:
    """The latest state from which a range that ends with epoch `last` can be continued; None where there is none.

    States of the range that cannot be used, because they are damaged or of another origin, are removed: they would
    outlive the usable ones that come after them.

    Args:
        files: of the run.
        origin: of the range.
        last: its last epoch.
        damaged: told of every damaged state that was removed: which file, and what is wrong with it.
    """
    for name in _within(files, origin, last):
        try:
            state, fault = read_state(files, name), None
        except DamagedStateError as error:
            state, fault = None, str(error)
        except StoreError:
            if files.exists(name.path):  # it may be good, and the store is not answering: nothing to remove it for
                raise
            continue  # another attempt has removed it
        if state is not None and state.origin == origin:
            return state
        files.discard(name.path)
        if fault is not None:
            damaged(fault)
    return None


def keep_latest(files: Files, origin: Origin, last: int) -> None:
    """Remove all but the two latest states of a range that are not its end."""
    for name in _within(files, origin, last)[KEPT:]:
        files.discard(name.path)


def _within(files: Files, origin: Origin, last: int) -> list[StateName]:
    """The states of a range, latest first, without those at its end."""
    return [name for name in state_names(files, origin.group) if origin.range_first <= name.epoch < last]


def _parts(array: NDArray[Any]) -> Iterator[memoryview]:
    """An array's bytes in C order, without a copy where its last axes lie in one piece."""
    if array.size and array.flags.c_contiguous:
        yield array.reshape(-1).view(np.uint8).data
    elif array.size:
        for inner in array:
            yield from _parts(inner)


def _decode(data: bytes) -> TrainingState:
    if not data.startswith(MAGIC):
        raise ValueError("it does not begin as one")
    start = len(MAGIC) + 8
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    header = json.loads(data[start:end])
    tables: dict[str, dict[str, NDArray[Any]]] = {"state": {}, "rows": {}}
    for table, arrays in tables.items():
        for name, code, shape in header[table]:
            dtype = np.dtype(code)
            if dtype.kind not in _KINDS:
                raise ValueError(f"{name} has type {code}")
            arrays[name] = np.frombuffer(data, dtype, math.prod(shape), end).reshape(shape)
            end += arrays[name].nbytes
    if end != len(data):
        raise ValueError(f"has {len(data)} bytes, its header describes {end}")
    origin = Origin(**{key: header[key] for key in Origin.__dataclass_fields__})
    return TrainingState(origin, int(header["epoch"]), tables["state"], tables["rows"])
