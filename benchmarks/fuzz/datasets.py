"""Targets: IDX files, and datasets of one's own (.npz, Parquet, folders of images)."""

import gzip
import io
import os
import socket
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from benchmarks.fuzz.damage import damaged
from benchmarks.fuzz.verdicts import DAMAGE, UNEXPLAINED, Finding, asked
from zoo_pipeline.data import Dataset, load_dataset
from zoo_pipeline.data.idx import read_idx

_SIDES = st.sampled_from([0, 1, 2, 3, 28, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
_MAGIC = st.sampled_from([b"\0\0\x08\x03", b"\0\0\x08\x01", b"\0\0\x0d\x03", b"\0\0\x08\xff", b"\x1f\x8b\x08\0", b""])
NO_FILES = ("fifo", "folder", "socket", "dangling", "loop", "device", "absent")  # what can lie under a file's name


@dataclass(frozen=True)
class Idx:
    """Bytes under a name, or what is no file."""

    name: str
    data: bytes
    dimensions: int
    instead: str | None = None


@dataclass(frozen=True)
class Data:
    """Files by their names below a folder, and which of them, or the folder, is the dataset."""

    dataset: str
    files: dict[str, bytes]
    instead: dict[str, str]


@st.composite
def idx_files(draw: st.DrawFn) -> Idx:
    """IDX files whose headers lie, which are damaged, or unpack to far more than they say."""
    dimensions = draw(st.sampled_from([1, 3]))
    name = draw(st.sampled_from(["x-ubyte", "x-ubyte.gz"]))
    small = draw(st.lists(st.integers(0, 4), min_size=dimensions, max_size=dimensions))
    sizes = draw(st.one_of(st.just(small), st.lists(_SIDES, min_size=dimensions, max_size=dimensions)))
    magic = draw(st.one_of(st.just(bytes([0, 0, 8, dimensions])), _MAGIC))
    extra = draw(st.sampled_from([0, 0, -1, 1, 1 << 24]))
    values = bytes(max(0, min(prod(sizes), 64) + extra))
    data = magic + struct.pack(f">{dimensions}I", *sizes) + values
    if draw(st.integers(0, 4)) == 0:
        data = draw(damaged(data))
    if name.endswith(".gz") and draw(st.integers(0, 9)):
        data = gzip.compress(data, 1, mtime=0)
        data = draw(st.one_of(st.just(data), damaged(data)))
    return Idx(name, data, dimensions, draw(st.sampled_from([None] * 12 + list(NO_FILES))))


def check_idx(case: Idx, place: Path) -> str:
    """Read it: the values that the header declares, bit by bit, or an error."""
    path = place / case.name
    put(path, case.data, case.instead)
    answer = asked(lambda: read_idx(path, case.dimensions))
    if answer.error is None:
        data = case.data
        if path.suffix == ".gz":
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read()
        sizes = struct.unpack_from(f">{case.dimensions}I", data, 4)
        if answer.value.shape != sizes or answer.value.tobytes() != data[4 + 4 * case.dimensions :]:
            raise Finding(DAMAGE, f"read {answer.value.shape}, the file says {sizes}")
    return answer.verdict


@st.composite
def datasets(draw: st.DrawFn) -> Data:
    """Datasets with a damaged file, with lies inside, or with what is no file."""
    kind = draw(st.sampled_from(["npz", "npz", "parquet", "parquet", "folder"]))
    dataset, files = draw(st.sampled_from(_sound()[kind]))
    instead = {}
    name = draw(st.sampled_from(sorted(files)))
    if draw(st.integers(0, 7)) == 0:
        instead[name] = draw(st.sampled_from(NO_FILES))
    elif draw(st.integers(0, 9)):
        files = {**files, name: draw(damaged(files[name]))}
    if dataset and draw(st.integers(0, 29)) == 0:
        dataset += draw(st.sampled_from(["x", "/", "/x", "\x00", "\udcff", ".txt"]))
    return Data(dataset, files, instead)


def check_dataset(case: Data, place: Path) -> str:
    """Load it: finite pixels and labels that fit together, or an error; nothing pickled is ever called."""
    for name, data in case.files.items():
        put(place / name, data, case.instead.get(name))
    answer = asked(lambda: load_dataset(f"{place}/{case.dataset}"))
    if (place / "ran").exists():
        raise Finding(DAMAGE, "a pickled object was called")
    if answer.error is None:
        _check_loaded(answer.value)
    return answer.verdict


def put(path: Path, data: bytes, instead: str | None = None) -> None:
    """Write a file, or put something under its name that is none (one of `NO_FILES`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    match instead:
        case None:
            path.write_bytes(data)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                here = os.open(path.parent, os.O_RDONLY)  # the names of sockets must be short
                try:
                    made.bind(f"/proc/self/fd/{here}/{path.name}")
                finally:
                    os.close(here)
        case "dangling":
            path.symlink_to(path.with_name("nothing-here"))
        case "loop":
            path.symlink_to(path.name)
        case "device":
            path.symlink_to("/dev/zero")


def _check_loaded(loaded: Dataset) -> None:
    for images, labels in ((loaded.train_images, loaded.train_labels), (loaded.test_images, loaded.test_labels)):
        fits = len(images) == len(labels) > 0 and images.ndim == 4 and np.isfinite(images).all()
        if not fits or labels.min() < 0 or labels.max() >= loaded.classes:
            raise Finding(UNEXPLAINED, f"images {images.shape}, labels {labels.shape}, {loaded.classes} classes")


@cache
def _sound() -> dict[str, list[tuple[str, dict[str, bytes]]]]:
    """Datasets to begin with, and some that are hostile as they are."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (12, 5, 5), np.uint8), np.arange(12) % 3
    arrays = {
        "train_images": images[:8],
        "train_labels": labels[:8],
        "test_images": images[8:],
        "test_labels": labels[8:],
    }
    names = np.array(["cat", "dog", "eel"])[labels]
    npz = [
        arrays,
        arrays | {"train_images": images[:8].astype(np.float64) / 255, "test_images": images[8:].astype(np.float64)},
        arrays | {"train_labels": names[:8], "test_labels": names[8:]},
        arrays | {"train_labels": np.array([_Bomb()] * 8, dtype=object)},
        arrays | {"train_images": np.array([[[_Bomb()]]], dtype=object)},
        arrays | {"train_labels": np.array([np.nan] * 8)},
        arrays | {"train_images": images[:8].astype("c8"), "test_labels": labels[8:].astype("M8[s]")},
    ]
    rows = {"image": [image.ravel().tolist() for image in images], "label": labels.tolist()}
    tables = [
        pa.table(rows),
        pa.table(rows | {"split": ["train"] * 8 + ["test"] * 4}),
        pa.table(rows | {"label": names.tolist(), "shape": [[5, 5]] * 12}),
        pa.table({"image": [_png(image) for image in images], "label": labels.tolist()}),
        pa.table({"image": [{"bytes": _png(image), "path": "../x"} for image in images], "label": labels.tolist()}),
        pa.table(rows | {"shape": [[-5, -5]] * 12}),
        pa.table(rows | {"shape": [[2**62, 4]] * 12}),
        pa.table(rows | {"image": [[float("nan")] * 4] * 12}),
    ]
    parts = {
        f"{split}/{name}/{number}.png": _png(images[number])
        for number, name in enumerate(names.tolist())
        for split in ("train", "test")
    }
    return {
        "npz": [("x.npz", {"x.npz": data}) for data in [*map(_npz, npz), *map(lying_npz, _LIES)]],
        "parquet": [
            *(("x.parquet", {"x.parquet": _parquet(table)}) for table in tables),
            ("", {"train.parquet": _parquet(tables[0]), "test-1.parquet": _parquet(tables[0])}),
        ],
        "folder": [("", parts), ("", {name.removeprefix("train/"): data for name, data in parts.items()})],
    }


class _Bomb:
    """Leaves a file behind where somebody unpickles it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, ("touch ran",)


# Headers of arrays that are not what follows them.
_LIES = (
    "{'descr': '|u1', 'fortran_order': False, 'shape': (8, 99999, 99999), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-8, 5, 5), }",
    "{'descr': '<U99999999', 'fortran_order': False, 'shape': (8, 5, 5), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 5, 5), }",
    "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (8, 5, 5), }",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (8, 5, 5), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 5_000 + ",), }",
    "{'descr': '|u1', 'fortran_order': True, 'shape': (), }",
    "__import__('os').system('touch ran')",
    "[" * 2_000,
    "",
)


def lying_npz(header: str) -> bytes:
    """A .npz of arrays with this header, whatever it says, and some bytes behind it."""
    text = header.encode()
    member = b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text + bytes(1 << 16)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("train_images", "train_labels", "test_images", "test_labels"):
            archive.writestr(f"{name}.npy", member)
    return buffer.getvalue()


def _npz(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _png(image: Any) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
