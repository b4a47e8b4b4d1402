"""Datasets of the Hugging Face hub, by name: from files that are there, from the hub's cache, or from the hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.data.parquet import part_files, read_table, table_rows
from zoo_pipeline.data.rows import Rows
from zoo_pipeline.data.standardisation import standardised
from zoo_pipeline.dataset_facts import DatasetFacts
from zoo_pipeline.errors import DataError


@dataclass(frozen=True)
class HubSource:
    """Where on the hub a dataset lies, and what its parts are called there."""

    repository: str
    configuration: str = "default"
    train: tuple[str, ...] = ("train",)
    test: tuple[str, ...] = ("test",)
    image: str = "image"
    label: str = "label"


# All of them hold Parquet files alone, so that no code of theirs is ever run.
SOURCES = {
    "fashion-mnist": HubSource("zalando-datasets/fashion_mnist", "fashion_mnist"),
    "svhn": HubSource("ufldl-stanford/svhn", "cropped_digits"),
    "usps": HubSource("flwrlabs/usps"),
    "cifar10": HubSource("uoft-cs/cifar10", "plain_text", image="img"),
    "cifar100": HubSource("uoft-cs/cifar100", "cifar100", image="img", label="fine_label"),
    "stl10": HubSource("tanganke/stl10"),
    "tiny-imagenet": HubSource("zh-plus/tiny-imagenet", test=("valid",)),  # the test split has no labels
    "eurosat": HubSource("blanchon/EuroSAT_RGB", train=("train", "validation")),  # 16,200 + 5,400 and 5,400
}


def load_hub(facts: DatasetFacts, data_dir: Path | None) -> Dataset:
    """Load a dataset of the hub, its pixels standardised by the training images.

    DATA_DIR/NAME/ is used if it is there: Parquet files as on the hub (TRAIN*.parquet, TEST*.parquet, also in a folder
    data/ or named like the configuration), or what `datasets.DatasetDict.save_to_disk` wrote. Otherwise the library
    `datasets` takes the dataset from its cache or downloads it.

    Raises:
        DataError: not there and not to be had, damaged, or other rows, sizes or labels than declared.
    """
    source = SOURCES[facts.name]
    folder = data_dir / facts.name if data_dir is not None and (data_dir / facts.name).is_dir() else None
    train, test = (
        _rows(facts, source, folder, splits, rows)
        for splits, rows in ((source.train, facts.train_rows), (source.test, facts.test_rows))
    )
    train_images, test_images = standardised(train.images, test.images)
    return Dataset(facts.name, facts.classes, train_images, train.labels, test_images, test.labels)


def _rows(facts: DatasetFacts, source: HubSource, folder: Path | None, splits: Sequence[str], expected: int) -> Rows:
    where, tables = folder or Path(source.repository), _tables(facts, source, folder, splits)
    found = sum(len(table) for table in tables)
    if found != expected:
        raise DataError(
            f"{where}: has {found:,} rows in {' and '.join(splits)}, {facts.name} {expected:,}; fetch the dataset again"
        )
    parts = [table_rows(where, table, source.image, source.label, facts.image_shape) for table in tables]
    images = np.concatenate([part.images for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    if images.shape[1:] != facts.image_shape:
        raise DataError(
            f"{where}: holds images of {images.shape[1:]} (channels, height, width), {facts.name} has "
            f"{facts.image_shape}; fetch the dataset again"
        )
    unknown = sorted(set(labels.tolist()) - set(range(facts.classes)))
    if unknown:
        raise DataError(
            f"{where}: column {source.label} holds {unknown[0]}, {facts.name} has labels from 0 to "
            f"{facts.classes - 1}; fetch the dataset again"
        )
    return Rows(images, labels.astype(np.int64))


def _tables(facts: DatasetFacts, source: HubSource, folder: Path | None, splits: Sequence[str]) -> list[Any]:
    """One Arrow table per split."""
    if folder is None:
        return _from_library(facts, source, splits)
    if (folder / "dataset_dict.json").is_file():
        return _saved(folder, splits)
    places = [place for place in (folder, folder / source.configuration, folder / "data") if place.is_dir()]
    holding = [place for place in places if any(place.glob("*.parquet"))]
    if not holding:
        raise DataError(
            f"{folder}: holds neither Parquet files of {source.repository} nor a saved dataset; fill or remove it"
        )
    return [read_table(holding[0], part_files(holding[0], split)) for split in splits]


def _saved(folder: Path, splits: Sequence[str]) -> list[Any]:
    datasets = _library(str(folder))
    try:
        saved = datasets.load_from_disk(str(folder))
    except Exception as error:  # of many kinds, as with the hub
        raise DataError(f"{folder}: cannot be read: {_first_line(error)}; save the dataset again") from error
    for split in splits:
        if split not in saved:
            raise DataError(f"{folder}: has no split {split}, but {', '.join(saved)}; save the whole dataset")
    return [saved[split].with_format("arrow")[:] for split in splits]


def _from_library(facts: DatasetFacts, source: HubSource, splits: Sequence[str]) -> list[Any]:
    datasets = _library(facts.name)
    try:
        loaded = datasets.load_dataset(source.repository, source.configuration, split=list(splits))
    except Exception as error:  # the library raises what requests, the hub's client, pyarrow and itself raise
        raise DataError(
            f"{facts.name}: neither in the cache of the library datasets nor to be had from the hub "
            f"({source.repository}): {_first_line(error)}; load it once with a network, or put its Parquet files into "
            f"{facts.name}/ of the data directory"
        ) from error
    return [split.with_format("arrow")[:] for split in loaded]


def _library(where: str) -> Any:
    try:
        import datasets
    except ImportError:
        raise DataError(
            f"{where}: reading it needs the library datasets, which is not installed; pip install datasets pillow"
        ) from None
    return datasets


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
