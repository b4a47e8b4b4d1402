"""What a torch pickle says of a file: taken apart once for all files whose pickles differ in floats at most."""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.formats.elements import ITEM_BYTES
from zoo_pipeline.formats.nesting import describe
from zoo_pipeline.formats.pickles import MOST_BYTES, PickleMachine
from zoo_pipeline.formats.selection import MOST_TIMES_READ, Selection, select
from zoo_pipeline.formats.stand_ins import Storage
from zoo_pipeline.formats.state import Described, FileRefused

_CACHED_BYTES = 128 << 10  # pickles up to this size are remembered
_CACHED = 256


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """A pickle that has been read.

    Attributes:
        described: its tensors.
        storages: what it refers to, by key.
    """

    described: Described
    storages: dict[str, Storage]


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """A structure and the parameters in it.

    Attributes:
        structure: of the pickle.
        selection: the parameters.
        kept: whether it is small enough to be remembered.
    """

    structure: Structure
    selection: Selection
    kept: bool


def structure_of(root: object, storages: dict[str, Storage]) -> Structure:
    """Describe what was pickled.

    Raises:
        FileRefused: as of `describe`, or its tensors overlap so much that they would take far more memory than it has.
    """
    described = describe(root)
    read = sum(prod(entry.shape) for entry in described.entries if entry.kind in ITEM_BYTES)
    held = sum(storage.length * storage.item_bytes // 2 for storage in storages.values())  # of the smallest elements
    if read > MOST_TIMES_READ * held:
        raise FileRefused(f"views: the tensors overlap, {read:,} elements of a file that has at most {held:,}")
    return Structure(described, storages)


def pickled_structure(pickle: memoryview) -> Structure:
    """Read a pickle.

    Raises:
        FileRefused: as of `PickleMachine.load` and `structure_of`.
    """
    return _read(pickle)[0]


def pickled_selection(pickle: memoryview) -> Selected:
    """Read a pickle and take the parameters, or remember what was taken of one that differs in floats at most.

    Raises:
        FileRefused: as of `pickled_structure` and `select`.
    """
    mask = _masks.get(len(pickle))
    if mask is not None and (known := _remembered.get(_masked(pickle, mask))) is not None and known[0] is mask:
        return known[1]
    structure, floats_at = _read(pickle)
    selected = Selected(structure, select(structure.described), len(pickle) <= _CACHED_BYTES)
    if selected.kept:
        _remember(pickle, floats_at, selected)
    return selected


# Of pickles by their length: 0 for the bytes that are of floats (losses, learning rates), 255 for all others.
_masks: dict[int, NDArray[np.uint8]] = {}
_remembered: dict[bytes, tuple[NDArray[np.uint8], Selected]] = {}


def _remember(pickle: memoryview, floats_at: list[int], selected: Selected) -> None:
    mask = np.full(len(pickle), 0xFF, np.uint8)
    for at in floats_at:
        mask[at : at + 8] = 0
    if len(_masks) >= _CACHED or len(_remembered) >= _CACHED:
        _masks.clear()
        _remembered.clear()
    before = _masks.get(len(pickle))
    if before is None or not np.array_equal(before, mask):
        _masks[len(pickle)] = mask
    _remembered[_masked(pickle, mask)] = (_masks[len(pickle)], selected)


def _masked(pickle: memoryview, mask: NDArray[np.uint8]) -> bytes:
    masked: bytes = (np.frombuffer(pickle, np.uint8) & mask).tobytes()
    return masked


def _read(pickle: memoryview) -> tuple[Structure, list[int]]:
    if len(pickle) > MOST_BYTES:
        raise FileRefused(f"too large: a pickle of {len(pickle):,} bytes, expected at most {MOST_BYTES:,}")
    machine = PickleMachine(bytes(pickle))
    root = machine.load()
    return structure_of(root, machine.storages), machine.floats_at
