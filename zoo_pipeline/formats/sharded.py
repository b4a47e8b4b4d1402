"""Checkpoints that Hugging Face's libraries cut into several files, with an index that says which tensor is where."""

import json
from collections.abc import Callable

from zoo_pipeline.formats.reading import open_file
from zoo_pipeline.formats.selection import select
from zoo_pipeline.formats.state import Described, FileRefused, OpenFile, State, TensorEntry

INDEX_SUFFIX = ".index.json"  # model.safetensors.index.json, pytorch_model.bin.index.json
_MOST_INDEX_BYTES = 64 << 20


def read_sharded(index: bytes, open: Callable[[str], bytes], name: str) -> State:
    """Read the parameters of a checkpoint in several files, in the order of the index.

    Args:
        index: the content of the index.
        open: gives the content of a file that lies beside it; called once for each, with a name without folders.
        name: of the index; an error does not repeat it.

    Raises:
        FileRefused: as of `read_state`, or the index is none, leads elsewhere, or names a tensor that is not there.
    """
    del name
    places = _places(index)
    files: dict[str, OpenFile] = {}
    entries: dict[str, dict[str, TensorEntry]] = {}
    for file in dict.fromkeys(places.values()):
        try:
            files[file] = open_file(memoryview(open(file)).cast("B").toreadonly())
        except FileRefused as error:
            raise FileRefused(f"{error} (in {file})") from None
        entries[file] = {entry.name: entry for entry in files[file].described.entries}
    found, home = [], {}
    for tensor, file in places.items():
        if tensor not in entries[file]:
            raise FileRefused(f"truncated: tensor {tensor} is not in {file}, where the index says")
        entry = entries[file][tensor]
        found.append(entry._replace(record=(file, entry.record)))
        home[tensor] = file
    left_out = {
        f"{tensor}": f"not in the index, but in {file}"
        for file, held in entries.items()
        for tensor in held
        if tensor not in home
    }
    selection = select(Described(tuple(found), left_out))
    tensors = {
        shown: files[home[entry.name]].values(entries[home[entry.name]][entry.name])
        for shown, entry in selection.entries
    }
    return State(tensors, selection.left_out, selection.step, selection.epoch)


def _places(index: bytes) -> dict[str, str]:
    """In which file each tensor is."""
    if len(index) > _MOST_INDEX_BYTES:
        raise FileRefused(f"too large: an index of {len(index):,} bytes, expected at most {_MOST_INDEX_BYTES:,}")
    try:
        places = json.loads(index)["weight_map"]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise FileRefused(f"not a checkpoint: the index has no weight_map ({type(error).__name__})") from None
    if type(places) is not dict or not places:
        raise FileRefused("not a checkpoint: the index names no tensor")
    for file in places.values():
        if type(file) is not str or not file or "/" in file or "\\" in file or "\0" in file or file.startswith("."):
            raise FileRefused(f"refused: the index leads to {file!r}, expected the name of a file beside it")
    return places
