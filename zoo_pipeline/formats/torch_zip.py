"""What torch.save has written since PyTorch 1.6: a zip archive of a pickle and one record for each storage."""

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.formats.archive import Directory, ZipArchive
from zoo_pipeline.formats.elements import ITEM_BYTES, float32_values
from zoo_pipeline.formats.selection import Selection
from zoo_pipeline.formats.stand_ins import Storage
from zoo_pipeline.formats.state import FileRefused, OpenFile, Shapes, State, TensorEntry
from zoo_pipeline.formats.structure import Selected, pickled_selection, pickled_structure

PICKLE, ORDER, PROGRAM = "data.pkl", "byteorder", "constants.pkl"
_FLOAT32 = np.dtype("<f4")


def is_torch(archive: ZipArchive) -> bool:
    """Whether an archive is one of torch's."""
    return PICKLE in archive.directory.records


def torch_shapes(archive: ZipArchive) -> Shapes:
    """The parameters' names and shapes."""
    return pickled_selection(_pickle(archive)).selection.shapes


def torch_state(archive: ZipArchive) -> State:
    """The parameters.

    Raises:
        FileRefused: whatever is wrong with it.
    """
    selected = pickled_selection(_pickle(archive))
    selection = selected.selection
    find = _remembered_plain if selected.kept else _plain
    plain = None if _big_endian(archive) else find(archive.directory, selected)
    if plain is None:
        values = _Records(archive, selected.structure.storages)
        tensors = {name: values(entry) for name, entry in selection.entries}
        return State(tensors, dict(selection.left_out), selection.step, selection.epoch)
    view, checksums = archive.view, archive.checksums
    if checksums:
        for start, end, number in plain.records:
            if zlib.crc32(view[start:end]) != checksums[number]:
                raise FileRefused(f"damaged: record {number} has another CRC32 than the archive says")
    return _viewed(view, plain, selection)


def open_torch(archive: ZipArchive) -> OpenFile:
    """The archive's tensors, all of them.

    Raises:
        FileRefused: as of `torch_state`, or later, when values are read.
    """
    structure = pickled_structure(_pickle(archive))
    return OpenFile(structure.described, _Records(archive, structure.storages))


@dataclass(frozen=True, slots=True, eq=False)
class _Plain:
    """Where in files of one shape the parameters lie, all of them float32 in C order and not packed."""

    records: tuple[tuple[int, int, int], ...]  # first byte, the one behind the last, number
    tensors: tuple[tuple[str, tuple[int, ...], int], ...]  # name, shape, first byte


def _plain(directory: Directory, selected: Selected) -> _Plain | None:
    records, tensors = {}, []
    for name, entry in selected.selection.entries:
        record = directory.records.get(f"data/{entry.record}")
        storage = selected.structure.storages[str(entry.record)]
        if entry.kind != "float32" or entry.strides is not None or record is None or record.packed:
            return None
        if record.size < storage.item_bytes * storage.length:
            return None
        records[record.number] = (record.start, record.start + record.size, record.number)
        tensors.append((name, entry.shape, record.start + 4 * entry.offset))
    return _Plain(tuple(records.values()), tuple(tensors))


_remembered_plain = lru_cache(256)(_plain)


def _viewed(view: memoryview, plain: _Plain, selection: Selection) -> State:
    array = np.ndarray
    tensors: dict[str, NDArray[np.float32]] = {
        name: array(shape, _FLOAT32, view, start) for name, shape, start in plain.tensors
    }
    for name, values in tensors.items():
        if not values.flags.aligned:
            tensors[name] = values.copy()
    return State(tensors, dict(selection.left_out), selection.step, selection.epoch)


class _Records:
    """The records of an archive, each looked at once."""

    def __init__(self, archive: ZipArchive, storages: dict[str, Storage]) -> None:
        self._archive, self._storages, self._big_endian = archive, storages, _big_endian(archive)
        self._contents: dict[object, memoryview] = {}

    def __call__(self, entry: TensorEntry) -> NDArray[np.float32]:
        content = self._contents.get(entry.record)
        if content is None:
            storage = self._storages[str(entry.record)]
            content = self._contents[entry.record] = self._archive.content(f"data/{entry.record}")
            if len(content) < storage.length * storage.item_bytes:
                raise FileRefused(
                    f"truncated: record data/{entry.record} is smaller than its {storage.length} elements"
                )
        start = entry.offset * ITEM_BYTES[entry.kind]
        return float32_values(content, start, entry.shape, entry.kind, entry.name, entry.strides, self._big_endian)


def _pickle(archive: ZipArchive) -> memoryview:
    if PROGRAM in archive.directory.records:
        raise FileRefused("not a checkpoint: a TorchScript program; save its state_dict")
    return archive.content(PICKLE)


def _big_endian(archive: ZipArchive) -> bool:
    """By the record of torch >= 2.1; files without it are of the machines that all had been: little-endian."""
    if ORDER not in archive.directory.records:
        return False
    order = bytes(archive.content(ORDER))
    if order not in (b"little", b"big"):
        raise FileRefused("damaged: the byte order is neither little nor big")
    return order == b"big"
