"""Datasets by name or path."""

import os
from difflib import get_close_matches
from pathlib import Path

from zoo_pipeline.data.built_in import BUILT_IN
from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.data.digits import digits
from zoo_pipeline.data.hub import load_hub
from zoo_pipeline.data.local import SUFFIXES, load_local
from zoo_pipeline.data.mnist import mnist, mnist_10k
from zoo_pipeline.data.tetris import tetris
from zoo_pipeline.dataset_facts import DatasetFacts
from zoo_pipeline.errors import DataError


def facts_of(dataset: str, data_dir: Path | None = None) -> DatasetFacts:
    """What the plan needs to know of a dataset: declared for the built-in ones, read for a path.

    Raises:
        DataError: unknown name, or data that cannot be read.
    """
    return BUILT_IN[dataset] if dataset in BUILT_IN else load_dataset(dataset, data_dir).facts


def load_dataset(dataset: str, data_dir: Path | None = None) -> Dataset:
    """Load a built-in dataset or one's own.

    Args:
        dataset: a name of `BUILT_IN`, or the path of a .npz or .parquet file or of a folder. Paths other than these
            two have a separator, or are those of an existing folder.
        data_dir: where built-in datasets that need files have a folder each, such as mnist/.

    Raises:
        DataError: unknown name, a file missing or damaged, or content other than declared.
    """
    if dataset not in BUILT_IN:
        if not _is_path(dataset):
            matches = get_close_matches(dataset, BUILT_IN, n=1, cutoff=0.5)
            raise DataError(
                f"{dataset}: no such dataset{f' (did you mean {matches[0]}?)' if matches else ''}; "
                f"expected one of {', '.join(BUILT_IN)}, or the path of a .npz or .parquet file or of a folder"
            )
        try:
            path = Path(dataset).expanduser()
        except RuntimeError as error:
            raise DataError(f"{dataset}: {error}; write the whole path") from None
        return load_local(path)
    loaded = _load(dataset, data_dir)
    declared = BUILT_IN[dataset].content_sha256
    if declared is not None and loaded.content_sha256 != declared:
        raise DataError(
            f"{dataset}: content hash {loaded.content_sha256}, expected {declared}; "
            f"the files or the library that makes the data differ from those this version knows"
        )
    return loaded


def _is_path(dataset: str) -> bool:
    return dataset.endswith(SUFFIXES) or os.sep in dataset or os.path.isdir(dataset)  # noqa: PTH112  (False on errors)


def _load(name: str, data_dir: Path | None) -> Dataset:
    match name:
        case "digits":
            return digits()
        case "tetris":
            return tetris()
        case "mnist":
            return mnist(data_dir)
        case "mnist-10k":
            return mnist_10k(data_dir)
        case _:
            return load_hub(BUILT_IN[name], data_dir)
