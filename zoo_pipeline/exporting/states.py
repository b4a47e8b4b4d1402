"""A checkpoint as a torch state dict, and as the bytes of a `.pt` or `.safetensors` file."""

import io
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import safetensors.torch
import torch
from numpy.typing import NDArray

from zoo_pipeline.exporting.rows import Layouts
from zoo_pipeline.formats.safe_tensors import ORDER
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.shards import vector_rows

State = OrderedDict[str, torch.Tensor]
_LENGTH_BYTES = 8  # a safetensors file begins with the length of its header, little-endian
_COUNTED_BESIDE = "running_mean"  # BatchNorm's buffer whose module counts batches, too


def state_of(
    layouts: Layouts, weights: NDArray[np.float32], buffers: NDArray[np.float32] | None = None, step: int = 0
) -> State:
    """The state dict of a checkpoint, in the order in which `nn.Module.state_dict` has it.

    Args:
        layouts: which slice is which tensor.
        weights: float32[d].
        buffers: float32[b]; None where the network has none.
        step: optimiser steps so far, which is what BatchNorm's `num_batches_tracked` counts.

    Returns:
        Tensors with storage of their own, by name.
    """
    tensors = _tensors(layouts.weights, weights)
    if layouts.buffers is None or buffers is None:
        return OrderedDict(tensors)
    beside: dict[str, State] = {}  # by module
    for name, tensor in _tensors(layouts.buffers, buffers).items():
        beside.setdefault(_module(name), OrderedDict())[name] = tensor
    for module, found in beside.items():
        if f"{module}{_COUNTED_BESIDE}" in found:
            found[f"{module}num_batches_tracked"] = torch.tensor(step)
    state: State = OrderedDict()
    names = list(tensors)
    for name, following in zip(names, [*names[1:], ""], strict=True):
        state[name] = tensors[name]
        if _module(name) != _module(following):
            state.update(beside.pop(_module(name), {}))
    for found in beside.values():  # of modules without parameters
        state.update(found)
    return state


def states_of(layouts: Layouts, table: pa.Table) -> Iterator[tuple[int, int, int, State]]:
    """Model, epoch, step and state dict of every row of a table as of `rows.row_groups`.

    Raises:
        StoreError: a column of vectors holds nulls.
    """
    weights = vector_rows(table, "weights")
    buffers = vector_rows(table, "buffers") if "buffers" in table.column_names else None
    keys = (table[name].to_pylist() for name in ("model_id", "epoch", "step"))
    for row, (model_id, epoch, step) in enumerate(zip(*keys, strict=True)):
        beside = None if buffers is None else buffers[row]
        yield model_id, epoch, step, state_of(layouts, weights[row], beside, step)


def encode_torch(state: State) -> bytes:
    """The file that `torch.load(…, weights_only=True)` reads; the same bytes for the same state."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def encode_safetensors(state: State, about: Mapping[str, object]) -> bytes:
    """The file that `safetensors.torch.load_file` reads; the same bytes for the same state and metadata.

    Args:
        state: the tensors, whose order the metadata keep, as the format does not.
        about: what else they say, as text.
    """
    metadata = {key: str(value) for key, value in about.items()} | {ORDER: json.dumps(list(state))}
    data = safetensors.torch.save(dict(state), metadata)
    # The library writes metadata in an order that changes from process to process.
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    header = json.loads(data[_LENGTH_BYTES:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + data[end:]


def _tensors(layout: Layout, vector: NDArray[np.float32]) -> dict[str, torch.Tensor]:
    cut = layout.unflatten(torch.from_numpy(np.array(vector)))
    return {name: tensor.clone() for name, tensor in cut.items()}  # a view would be saved with the whole vector


def _module(name: str) -> str:
    return name[: name.rfind(".") + 1]
