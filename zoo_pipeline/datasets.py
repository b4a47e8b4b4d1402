"""Datasets by name, path or URI: what lies in a bucket is fetched into a temporary folder, and read from there."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from zoo_pipeline.counts import binary
from zoo_pipeline.data import BUILT_IN, Dataset, loader
from zoo_pipeline.data.local import SUFFIXES, load_local
from zoo_pipeline.dataset_facts import DatasetFacts
from zoo_pipeline.errors import DataError
from zoo_pipeline.places import in_job

if TYPE_CHECKING:
    from zoo_pipeline.store.filesystem import Files

_COPIED_AT_ONCE = 1 << 22
_LOCAL = ("file://", "local://")


def facts_of(dataset: str, data_dir: Path | None = None) -> DatasetFacts:
    """What the plan needs to know of a dataset: declared for the built-in ones, read for a path or URI.

    Raises:
        ZooError: as `load_dataset`.
    """
    return BUILT_IN[dataset] if dataset in BUILT_IN else load_dataset(dataset, data_dir).facts


@dataclass(frozen=True)
class PlannedDataset:
    """A dataset that was read to be planned with, and can be read again, on any machine that has it.

    Attributes:
        dataset: its name, its whole path, or its URI.
        data_dir: where built-in datasets are, as a whole path.
        side: of its images in pixels; None: as they are.
        content_sha256: of the dataset with images of that side, as it was read first.
    """

    dataset: str
    data_dir: Path | None
    side: int | None
    content_sha256: str

    def load(self) -> Dataset:
        """The same dataset once more.

        Raises:
            DataError: it is not there, cannot be read, or is another one.
            StoreError: as `load_dataset`.
        """
        loaded = load_dataset(self.dataset, self.data_dir)
        resized = loaded.resized(self.side) if self.side else loaded
        if resized.content_sha256 != self.content_sha256:
            raise DataError(
                f"{self.dataset}: content hash {resized.content_sha256}, but {self.content_sha256} when it was planned "
                f"with; leave a dataset as it is while a run trains"
            )
        return resized


def planned_dataset(dataset: str, data_dir: Path | None, side: int | None, content_sha256: str) -> PlannedDataset:
    """A dataset that was loaded here under this name, path or URI, by names that hold in every folder."""
    for scheme in _LOCAL:
        dataset = dataset.removeprefix(scheme)
    if dataset not in BUILT_IN and "://" not in dataset:
        dataset = str(Path(dataset).expanduser().absolute())
    return PlannedDataset(dataset, data_dir.absolute() if data_dir else None, side, content_sha256)


def load_dataset(dataset: str, data_dir: Path | None = None) -> Dataset:
    """Load a built-in dataset or one's own.

    Args:
        dataset: a name of `BUILT_IN`; or the path or URI of a .npz or .parquet file or of a folder. Paths other than
            these two have a separator, or are those of an existing folder.
        data_dir: where built-in datasets that need files have a folder each, such as mnist/.

    Raises:
        DataError: unknown name, a file missing or damaged, larger than the disk, or content other than declared.
        StoreError: the URI holds a secret, its driver is missing, or its store does not answer or refuses.
    """
    for scheme in _LOCAL:
        dataset = dataset.removeprefix(scheme)
    if "://" not in dataset:
        is_path = dataset.endswith(SUFFIXES) or os.sep in dataset
        if in_job() and is_path and not Path(dataset).expanduser().is_absolute() and not Path(dataset).exists():
            raise DataError(
                f"{dataset}: no such file or folder in the copy of the code that a job works in, which lacks what "
                f".gitignore names; give an absolute path that all machines share, or a URI"
            )
        return loader.load_dataset(dataset, data_dir)
    address = dataset.rstrip("/")
    parent, _, name = address.rpartition("/")
    try:
        with tempfile.TemporaryDirectory(prefix="zoo-dataset-", ignore_cleanup_errors=True) as made:
            folder = os.path.realpath(made)
            try:
                _fetch(address, Path(folder) / name)
                return load_local(Path(folder) / name)
            except DataError as error:  # in it, the place that the user knows
                raise DataError(str(error).replace(folder, parent)) from None
    except OSError as error:
        raise DataError(
            f"{dataset}: cannot be kept on the local disk: {error.strerror}; TMPDIR names another folder for it"
        ) from None


def _fetch(address: str, target: Path) -> None:
    """Copy a file, or a folder file by file."""
    from zoo_pipeline.store.filesystem import Files  # needs fsspec, which a bare GPU machine lacks

    files = Files(address)
    if files.is_file():
        if target.suffix not in SUFFIXES:
            raise DataError(f"{target}: {target.suffix or 'no suffix'}; expected one of {', '.join(SUFFIXES)}")
        holder = Files(address.rpartition("/")[0])
        _check_space(address, holder.size(target.name), target.parent)
        _copy(holder, target.name, target)
        return
    sizes = _chosen(files.below())
    if not sizes:
        raise DataError(f"{target}: no such file or folder; expected .npz, .parquet or a folder")
    _check_space(address, sum(sizes.values()), target.parent)
    for name in sizes:
        if any(part in ("", ".", "..") for part in name.split("/")):  # in a bucket a name may be anything
            raise DataError(f"{target}: holds the name {name!r}, which no file of a disk can have; rename it")
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        _copy(files, name, place)


def _chosen(sizes: Mapping[str, int]) -> dict[str, int]:
    """The files that a folder is read from: the tables beside each other, if there are some."""
    tables = {name: size for name, size in sizes.items() if PurePosixPath(name).match("*.parquet") and "/" not in name}
    return dict(sorted((tables or sizes).items()))


def _check_space(address: str, size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            f"{address}: has {binary(size)}, but {folder.parent} only {binary(free)} free; "
            f"TMPDIR names another folder for it"
        )


def _copy(files: "Files", name: str, target: Path) -> None:
    try:
        with files.open(name) as source, target.open("xb") as copy:
            shutil.copyfileobj(source, copy, _COPIED_AT_ONCE)
    except FileNotFoundError:
        raise DataError(f"{target}: was removed while it was read; try again") from None
