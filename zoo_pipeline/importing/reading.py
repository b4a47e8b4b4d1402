"""The tensors of a checkpoint that lies in an origin, in one file or in several with an index."""

from zoo_pipeline.formats import State, read_shapes, read_sharded, read_state
from zoo_pipeline.importing.file_origin import FileOrigin

INDEX_SUFFIX = ".index.json"
Shapes = tuple[tuple[str, tuple[int, ...]], ...]


def state_of(origin: FileOrigin, name: str) -> State:
    """The parameters of a checkpoint.

    Raises:
        StoreError: it cannot be read, in one line without the file's name.
    """
    data = origin.read(name)
    if not name.endswith(INDEX_SUFFIX):
        return read_state(data, name)
    folder = name.rpartition("/")[0]
    return read_sharded(data, lambda beside: origin.read(f"{folder}/{beside}" if folder else beside), name)


def shapes_of(origin: FileOrigin, name: str) -> Shapes:
    """The names and shapes of the same tensors, as cheaply as they are to be had.

    Raises:
        StoreError: as of `state_of`, as far as it shows without the values.
    """
    if name.endswith(INDEX_SUFFIX):
        return tuple((tensor, values.shape) for tensor, values in state_of(origin, name).tensors.items())
    return read_shapes(origin.read(name), name)
