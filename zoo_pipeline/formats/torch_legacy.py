"""What torch.save wrote before PyTorch 1.6: pickles one behind the other, then the storages' elements."""

import struct

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.formats.elements import ITEM_BYTES, float32_values
from zoo_pipeline.formats.pickles import PickleMachine
from zoo_pipeline.formats.state import FileRefused, OpenFile, TensorEntry
from zoo_pipeline.formats.structure import structure_of

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_COUNT = {False: struct.Struct("<q"), True: struct.Struct(">q")}


def open_legacy(view: memoryview) -> OpenFile:
    """The file's tensors.

    Raises:
        FileRefused: another pickle, truncated or damaged, or it names what no checkpoint needs.
    """
    machine = PickleMachine(view)
    if machine.load() != MAGIC:
        raise FileRefused("not a checkpoint: a bare pickle; save it with torch.save")
    machine = PickleMachine(view, machine.at)
    if machine.load() != PROTOCOL:
        raise FileRefused("not a checkpoint: a version of torch's format that is not known")
    machine = PickleMachine(view, machine.at)
    system = machine.load()
    big_endian = type(system) is dict and system.get("little_endian") is False
    machine = PickleMachine(view, machine.at)
    root = machine.load()
    storages = machine.storages
    machine = PickleMachine(view, machine.at)
    keys = machine.load()
    if type(keys) is not list or len(keys) != len(storages) or any(key not in storages for key in keys):
        raise FileRefused("damaged: the file lists other storages than its tensors have")
    starts: dict[object, int] = {}
    at = machine.at
    for key in keys:
        if at + 8 > len(view):
            raise FileRefused(f"truncated: storage {key} is not there")
        (count,) = _COUNT[big_endian].unpack_from(view, at)
        starts[key] = at + 8
        at += 8 + count * storages[key].item_bytes
        if count != storages[key].length or at > len(view):
            raise FileRefused(f"truncated: storage {key} has not the {storages[key].length:,} elements it should have")
    structure = structure_of(root, storages)

    def values(entry: TensorEntry) -> NDArray[np.float32]:
        start = starts[entry.record] + entry.offset * ITEM_BYTES[entry.kind]
        return float32_values(view, start, entry.shape, entry.kind, entry.name, entry.strides, big_endian)

    return OpenFile(structure.described, values)
