"""Datasets from anywhere: by name, by path, or at a URI, whose files are fetched to a temporary folder first."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_pipeline import data
from zoo_pipeline.addresses import holds_secret, is_uri
from zoo_pipeline.counts import binary
from zoo_pipeline.data.local import SUFFIXES, load_local
from zoo_pipeline.dataset_facts import DatasetFacts
from zoo_pipeline.errors import DataError

if TYPE_CHECKING:
    from zoo_pipeline.store.filesystem import Files

_COPIED_AT_ONCE = 1 << 22


def load_dataset(dataset: str, data_dir: Path | None = None) -> data.Dataset:
    """Load a built-in dataset or one's own.

    Args:
        dataset: as `zoo_pipeline.data.load_dataset` takes it, or the URI of a .npz or .parquet file or of a folder,
            such as s3://bucket/mine.npz; storage options hold for it.
        data_dir: where built-in datasets that need files have a folder each.

    Raises:
        DataError: unknown name, a file missing or damaged, or content other than declared; a URI that holds a secret.
        StoreError: the store cannot be read.
    """
    if not is_uri(dataset):
        return data.load_dataset(dataset, data_dir)
    if holds_secret(dataset):
        raise DataError(
            f"{dataset.partition('://')[0]}://…: holds a password or a signature, which would be shown wherever the "
            f"dataset is named; give it by the environment, a profile or --storage-option"
        )
    if dataset.startswith(("file://", "local://")):
        return load_local(Path(dataset.partition("://")[2]))
    with tempfile.TemporaryDirectory(prefix="zoo-data-") as folder:
        return load_local(_fetched(dataset.rstrip("/"), Path(folder)))


def facts_of(dataset: str, data_dir: Path | None = None) -> DatasetFacts:
    """What the plan needs to know of a dataset: declared for the built-in ones, read for all others.

    Raises:
        ZooError: as `load_dataset`.
    """
    return load_dataset(dataset).facts if is_uri(dataset) else data.facts_of(dataset, data_dir)


def _fetched(address: str, folder: Path) -> Path:
    """Copy a file, or all files of a folder, under its own name; returns the path of the copy."""
    from zoo_pipeline.store.filesystem import Files  # brings fsspec, which names and paths do not need

    parent, _, name = address.rpartition("/")
    place = folder / name
    if Files(address).is_file():
        if not name.endswith(SUFFIXES):
            raise DataError(f"{address}: expected one of {', '.join(SUFFIXES)}, or a folder")
        _copy(Files(parent), {name: place}, address)
        return place
    files = Files(address)
    names = files.tree()
    if not names:
        raise DataError(f"{address}: no such file or folder; expected .npz, .parquet or a folder")
    for inner in names:
        if ".." in inner.split("/"):
            raise DataError(f"{address}: has a file {inner}, which leads out of the folder; remove it")
    _copy(files, {inner: place / inner for inner in names}, address)
    return place


def _copy(files: "Files", places: dict[str, Path], address: str) -> None:
    size, free = sum(files.size(name) for name in places), shutil.disk_usage(tempfile.gettempdir()).free
    if size > free:
        raise DataError(
            f"{address}: has {binary(size)}, but {tempfile.gettempdir()} has room for {binary(free)}; "
            f"let TMPDIR name a larger disk"
        )
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        with files.open(name) as source, place.open("wb") as target:
            shutil.copyfileobj(source, target, _COPIED_AT_ONCE)
