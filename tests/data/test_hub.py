import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets.packaged_modules.parquet.parquet import Parquet
from pictures import noise, png, standardised_by_hand, write_hub_parquet

from zoo_pipeline.data import BUILT_IN, load_dataset
from zoo_pipeline.data.hub import SOURCES, load_hub
from zoo_pipeline.errors import DataError

ROWS = {"train": 12, "validation": 4, "valid": 8, "test": 8}


def small(name: str):
    """The facts of a dataset with as few rows as the tests have."""
    source = SOURCES[name]
    rows = [sum(ROWS[split] for split in splits) for splits in (source.train, source.test)]
    return replace(BUILT_IN[name], train_rows=rows[0], test_rows=rows[1])


def pixels(name: str, split: str) -> np.ndarray:
    channels, height, width = BUILT_IN[name].image_shape
    size = (height, width) if channels == 1 else (height, width, channels)
    return noise(ROWS[split], *size, seed=sorted(ROWS).index(split))


def labels(name: str, split: str) -> list[int]:
    return (np.arange(ROWS[split]) * 7 % BUILT_IN[name].classes).tolist()


def write_repository(folder: Path, name: str) -> None:
    """Parquet files as the hub's repository of a dataset has them."""
    source = SOURCES[name]
    for split in source.train + source.test:
        path = folder / f"{split}-00000-of-00001.parquet"
        write_hub_parquet(path, pixels(name, split), labels(name, split), source.image, source.label)


def check(dataset, name: str) -> None:
    source = SOURCES[name]
    images = [np.concatenate([pixels(name, split) for split in splits]) for splits in (source.train, source.test)]
    expected = standardised_by_hand(*images)
    assert np.allclose(dataset.train_images, expected[0], atol=1e-6)
    assert np.allclose(dataset.test_images, expected[1], atol=1e-6)
    assert dataset.train_labels.tolist() == [label for split in source.train for label in labels(name, split)]
    assert dataset.test_labels.tolist() == [label for split in source.test for label in labels(name, split)]
    assert replace(dataset.facts, content_sha256=None) == small(name)


def test_every_declared_dataset_without_a_reader_of_its_own_has_a_source():
    assert set(SOURCES) == set(BUILT_IN) - {"digits", "tetris", "mnist", "mnist-10k"}
    assert {facts.content_sha256 for name, facts in BUILT_IN.items() if name in SOURCES} == {None}


@pytest.mark.parametrize("name", SOURCES)
def test_parquet_files_of_the_data_directory_are_read(tmp_path, name):
    write_repository(tmp_path / name, name)
    check(load_hub(small(name), tmp_path), name)


@pytest.mark.parametrize("place", ["data", "cropped_digits"])
def test_a_copy_of_the_repository_is_read_as_it_is(tmp_path, place):
    write_repository(tmp_path / "svhn" / place, "svhn")
    check(load_hub(small("svhn"), tmp_path), "svhn")


def test_a_dataset_saved_to_disk_is_read(tmp_path):
    splits = {}
    for split in ("train", "test"):
        images = [{"bytes": png(one), "path": None} for one in pixels("cifar100", split)]
        splits[split] = datasets.Dataset.from_dict(
            {"img": images, "fine_label": labels("cifar100", split)},
            features=datasets.Features({"img": datasets.Image(), "fine_label": datasets.ClassLabel(num_classes=100)}),
        )
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "cifar100")
    check(load_hub(small("cifar100"), tmp_path), "cifar100")
    datasets.DatasetDict({"train": splits["train"]}).save_to_disk(tmp_path / "other" / "cifar100")
    with pytest.raises(DataError, match="cifar100: has no split test, but train; save the whole dataset"):
        load_hub(small("cifar100"), tmp_path / "other")


def write_cache(cache: Path, name: str) -> None:
    """What `datasets.load_dataset` leaves in its cache after it has fetched a dataset from the hub."""
    source = SOURCES[name]
    write_repository(cache / "downloads", name)
    namespace, repository = source.repository.split("/")
    builder = Parquet(
        cache_dir=str(cache),
        dataset_name=repository,
        config_name=source.configuration,
        config_id=source.configuration,
        hash="a" * 40,
        data_files={
            split: [str(cache / "downloads" / f"{split}-00000-of-00001.parquet")]
            for split in source.train + source.test
        },
    )
    builder.download_and_prepare()
    (cache / repository).rename(cache / f"{namespace}___{repository}")


OFFLINE = """
import sys
from dataclasses import replace
from zoo_pipeline.data import BUILT_IN
from zoo_pipeline.data.hub import load_hub
facts = replace(BUILT_IN["usps"], train_rows=12, test_rows=8)
try:
    dataset = load_hub(facts, None)
except Exception as error:
    print(type(error).__name__, error)
else:
    print(dataset.content_sha256)
"""


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_the_cache_is_read_or_the_way_out_is_told(tmp_path, variable):
    write_cache(tmp_path / "full" / "datasets", "usps")
    write_repository(tmp_path / "files" / "usps", "usps")
    expected = load_hub(small("usps"), tmp_path / "files")
    check(expected, "usps")
    printed = {}
    for home in ("full", "empty"):
        environment = {**os.environ, "HF_HOME": str(tmp_path / home), variable: "1"}
        done = subprocess.run(
            [sys.executable, "-c", OFFLINE], env=environment, capture_output=True, text=True, check=True
        )
        printed[home] = done.stdout.splitlines()
    assert printed["full"] == [expected.content_sha256]
    (line,) = printed["empty"]
    assert line.startswith(
        "DataError usps: neither in the cache of the library datasets nor to be had from the hub (flwrlabs/usps): "
    )
    assert line.endswith("load it once with a network, or put its Parquet files into usps/ of the data directory")


@pytest.mark.parametrize("name", SOURCES)
def test_the_library_is_asked_for_the_right_thing_and_runs_no_code(monkeypatch, name, tmp_path):
    """Only the call that would fetch is replaced."""
    asked = {}
    write_repository(tmp_path, name)

    def load(path, configuration, *, split):
        asked.setdefault("repository", (path, configuration))
        return [datasets.Dataset.from_parquet(str(tmp_path / f"{one}-00000-of-00001.parquet")) for one in split]

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "load_dataset", load)
    check(load_hub(small(name), tmp_path / "nowhere"), name)
    assert asked["repository"] == (SOURCES[name].repository, SOURCES[name].configuration)


def test_grey_images_among_colour_become_colour(tmp_path):
    """Tiny-ImageNet has some."""
    write_repository(tmp_path / "tiny-imagenet", "tiny-imagenet")
    grey = noise(8, 64, 64)
    write_hub_parquet(tmp_path / "tiny-imagenet" / "valid-00000-of-00001.parquet", grey, [0] * 8)
    dataset = load_hub(small("tiny-imagenet"), tmp_path)
    colour = [pixels("tiny-imagenet", "train"), np.stack([grey] * 3, axis=-1)]
    assert np.allclose(dataset.test_images, standardised_by_hand(*colour)[1], atol=1e-6)


def test_other_rows_sizes_and_labels_than_declared_are_refused(tmp_path):
    folder = tmp_path / "usps"
    write_repository(folder, "usps")
    with pytest.raises(DataError, match=r"usps: has 12 rows in train, usps 7,291; fetch the dataset again"):
        load_dataset("usps", tmp_path)
    test = folder / "test-00000-of-00001.parquet"
    write_hub_parquet(test, noise(8, 17, 16), [0] * 8)
    with pytest.raises(DataError, match="usps: row 0: is 16×17 pixels, expected 16×16"):
        load_hub(small("usps"), tmp_path)
    for label in (-1, 10):
        write_hub_parquet(test, noise(8, 16, 16), [label] * 8)
        with pytest.raises(DataError, match=f"column label holds {label}, usps has labels from 0 to 9"):
            load_hub(small("usps"), tmp_path)
    write_hub_parquet(test, noise(8, 16, 16), ["7"] * 8)
    with pytest.raises(DataError, match="column label holds 7, usps has labels from 0 to 9"):
        load_hub(small("usps"), tmp_path)
    test.unlink()
    with pytest.raises(DataError, match=r"usps: has no test\*\.parquet"):
        load_hub(small("usps"), tmp_path)


def test_a_folder_with_nothing_of_use_is_refused(tmp_path):
    (tmp_path / "usps").mkdir()
    with pytest.raises(DataError, match="usps: holds neither Parquet files of flwrlabs/usps nor a saved dataset"):
        load_hub(small("usps"), tmp_path)
    (tmp_path / "usps" / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    with pytest.raises(DataError, match="usps: cannot be read: ") as caught:
        load_hub(small("usps"), tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_where_the_library_is_missing_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"cifar10: .* is not installed; pip install datasets pillow"):
        load_dataset("cifar10")
