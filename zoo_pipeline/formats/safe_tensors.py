"""Hugging Face's safetensors: a JSON header that says where each tensor lies, then their bytes without gaps.

The package of that name copies every tensor and has no bfloat16 for NumPy; tests hold this reader against it.
"""

import json
from functools import lru_cache
from math import prod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.formats.elements import MOST_AXES, float32_values
from zoo_pipeline.formats.selection import Selection, select
from zoo_pipeline.formats.state import Described, FileRefused, OpenFile, TensorEntry

ORDER = "tensors"  # a key of our metadata: a JSON list of the names in their order, which the format does not keep
MOST_HEADER_BYTES = 100_000_000  # as in the package
_CACHED_BYTES = 256 << 10
_KINDS = {
    "F64": ("float64", 8), "F32": ("float32", 4), "F16": ("float16", 2), "BF16": ("bfloat16", 2),
    "I64": ("int64", 8), "I32": ("int32", 4), "I16": ("int16", 2), "I8": ("int8", 1),
    "U64": ("uint64", 8), "U32": ("uint32", 4), "U16": ("uint16", 2), "U8": ("uint8", 1), "BOOL": ("bool", 1),
    "F8_E4M3": ("float8_e4m3", 1), "F8_E5M2": ("float8_e5m2", 1), "F8_E8M0": ("float8_e8m0", 1),
    "C64": ("complex64", 8),
}  # fmt: skip


def is_safetensors(view: memoryview) -> bool:
    """Whether a file begins as one."""
    return bytes(view[8:9]) == b"{"


def open_safetensors(view: memoryview) -> OpenFile:
    """The file's tensors.

    Raises:
        FileRefused: truncated, damaged, or its tensors overlap.
    """
    header, start = _split(view)
    described = _described(header, len(view) - start)
    return OpenFile(described, _values(view, start))


def select_safetensors(view: memoryview) -> tuple[Selection, OpenFile]:
    """The file's parameters; files with one header are taken apart once.

    Raises:
        FileRefused: as of `open_safetensors` and `select`.
    """
    header, start = _split(view)
    read = _remembered if len(header) <= _CACHED_BYTES else _selected
    described, selection = read(header, len(view) - start)
    return selection, OpenFile(described, _values(view, start))


def _split(view: memoryview) -> tuple[bytes, int]:
    length = int.from_bytes(view[:8], "little")
    if length > MOST_HEADER_BYTES:
        raise FileRefused(f"damaged: a header of {length:,} bytes, expected at most {MOST_HEADER_BYTES:,}")
    if 8 + length > len(view):
        raise FileRefused(f"truncated: a header of {length:,} bytes in a file of {len(view):,}")
    return bytes(view[8 : 8 + length]), 8 + length


def _values(view: memoryview, start: int) -> Any:
    def values(entry: TensorEntry) -> NDArray[np.float32]:
        return float32_values(view, start + cast(int, entry.record), entry.shape, entry.kind, entry.name)

    return values


def _selected(header: bytes, data_bytes: int) -> tuple[Described, Selection]:
    described = _described(header, data_bytes)
    return described, select(described)


_remembered = lru_cache(64)(_selected)


def _described(header: bytes, data_bytes: int) -> Described:
    try:
        content = json.loads(header, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise FileRefused(f"damaged: the header is no JSON ({type(error).__name__})") from None
    if type(content) is not dict:
        raise FileRefused("damaged: the header is no object")
    metadata = content.pop("__metadata__", None)
    placed = sorted((_placed(name, said, data_bytes) for name, said in content.items()), key=lambda item: item[1:])
    at = 0
    for entry, begin, end in placed:
        if begin != at:
            raise FileRefused(
                f"damaged: tensor {entry.name} begins at byte {begin:,}, the one before it ends at {at:,}"
            )
        at = end
    if at != data_bytes:
        raise FileRefused(f"truncated: the tensors take {at:,} bytes, the file has {data_bytes:,} for them")
    claims = {key: _claim(metadata, key) for key in ("step", "epoch")}
    entries = _ordered([entry for entry, _, _ in placed], metadata)
    return Described(tuple(entries), {}, claims["step"], claims["epoch"])


def _ordered(entries: list[TensorEntry], metadata: Any) -> list[TensorEntry]:
    """In the order that the metadata name, if these are the same tensors."""
    try:
        order = json.loads(metadata[ORDER])
        place = {name: at for at, name in enumerate(order)}
    except (KeyError, TypeError, ValueError, RecursionError):
        return entries
    if place.keys() != {entry.name for entry in entries}:
        return entries
    return sorted(entries, key=lambda entry: place[entry.name])


def _placed(name: str, said: Any, data_bytes: int) -> tuple[TensorEntry, int, int]:
    """A tensor, its first byte and the one behind its last."""
    match said:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]} if len(
            shape
        ) <= MOST_AXES and all(type(size) is int and size >= 0 for size in shape):
            kind, size = _KINDS.get(dtype, (dtype, 0))
            fits = 0 <= begin <= end <= data_bytes and (not size or end - begin == prod(shape) * size)
            if not fits:
                raise FileRefused(f"damaged: tensor {name} of shape {str(shape)[:200]} has not the bytes it needs")
            return TensorEntry(name, tuple(shape), kind, begin), begin, end
    raise FileRefused(f"damaged: the header does not say where tensor {name} is")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise FileRefused("damaged: the header has two tensors of one name")
    return found


def _claim(metadata: Any, key: str) -> int | None:
    said = metadata.get(key) if type(metadata) is dict else None
    return int(said) if type(said) is str and said.isascii() and said.isdecimal() and len(said) < 19 else None
