"""A checkpoint file's parameters, whatever format it is in; its content tells the format, its name nothing."""

from zoo_pipeline.formats.archive import open_archive
from zoo_pipeline.formats.numpy_files import MAGIC, open_npy, open_npz
from zoo_pipeline.formats.safe_tensors import is_safetensors, open_safetensors, select_safetensors
from zoo_pipeline.formats.selection import Selection, select
from zoo_pipeline.formats.state import FileRefused, OpenFile, Shapes, State
from zoo_pipeline.formats.torch_legacy import open_legacy
from zoo_pipeline.formats.torch_zip import is_torch, open_torch, torch_shapes, torch_state

SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors", ".npz", ".npy", "")  # the last: Ray Tune's `checkpoints`
_POINTER = b"version https://git-lfs"
_ZIP, _EMPTY_ZIP, _PICKLE = b"PK\x03\x04", b"PK\x05\x06", 0x80


def read_state(data: bytes | memoryview, name: str) -> State:
    """Read the trainable parameters of a checkpoint file.

    Values of float32 in C order are read-only views of `data`, all others copies; float64 that float32 rounds is
    rounded.

    Args:
        data: the file's content.
        name: of the file; an error does not repeat it.

    Raises:
        FileRefused: it is no checkpoint, or is damaged, or would run something, or has no parameters, or one that
            float32 cannot hold: complex, quantised, sparse, or finite in float64 and infinite in float32.
    """
    del name
    view = memoryview(data).cast("B").toreadonly()
    if view[:4] == _ZIP:
        archive = open_archive(view)
        if is_torch(archive):
            return torch_state(archive)
        selection, file = _selected(open_npz(archive))
    elif is_safetensors(view):
        selection, file = select_safetensors(view)
    else:
        selection, file = _selected(open_file(view))
    tensors = {name: file.values(entry) for name, entry in selection.entries}
    return State(tensors, dict(selection.left_out), selection.step, selection.epoch)


def read_shapes(data: bytes | memoryview, name: str) -> Shapes:
    """The names and shapes of the tensors that `read_state` would read; of values neither read nor checked.

    Raises:
        FileRefused: as of `read_state`, as far as it shows without the values.
    """
    del name
    view = memoryview(data).cast("B").toreadonly()
    if view[:4] == _ZIP:
        archive = open_archive(view)
        return torch_shapes(archive) if is_torch(archive) else _selected(open_npz(archive))[0].shapes
    if is_safetensors(view):
        return select_safetensors(view)[0].shapes
    return _selected(open_file(view))[0].shapes


def open_file(view: memoryview) -> OpenFile:
    """All tensors of a file, parameters or not.

    Raises:
        FileRefused: as of `read_state`.
    """
    if not len(view):
        raise FileRefused("truncated: the file is empty")
    if view[:4] == _ZIP or view[:4] == _EMPTY_ZIP:
        archive = open_archive(view)
        return open_torch(archive) if is_torch(archive) else open_npz(archive)
    if bytes(view[: len(MAGIC)]) == MAGIC:
        return open_npy(view)
    if is_safetensors(view):
        return open_safetensors(view)
    if view[0] == _PICKLE:
        return open_legacy(view)
    if bytes(view[: len(_POINTER)]) == _POINTER:
        raise FileRefused("not a checkpoint: a pointer of Git LFS, whose file is elsewhere; run git lfs pull")
    raise FileRefused("not a checkpoint: neither of torch, safetensors nor NumPy")


def _selected(file: OpenFile) -> tuple[Selection, OpenFile]:
    return select(file.described), file
