"""Datasets at URIs are the same as on the disk, and no secret in their addresses is ever shown or written."""

from collections import namedtuple

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from zoo_pipeline import datasets
from zoo_pipeline.cli import main
from zoo_pipeline.datasets import load_dataset
from zoo_pipeline.errors import DataError, ZooError


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The same data as one file, and as a folder of images."""
    folder = tmp_path_factory.mktemp("data")
    images = np.random.default_rng(0).integers(256, size=(40, 8, 8), dtype=np.uint8)
    labels = np.arange(40) % 2
    parts = {"train_images": images[:30], "train_labels": labels[:30]}
    np.savez(folder / "mine.npz", **parts, test_images=images[30:], test_labels=labels[30:])
    for number, image in enumerate(images):
        place = folder / "pets" / ("cat", "dog")[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place)
    return folder


@pytest.fixture
def remote(local):
    """An address below which lies the same."""
    store = MemoryFileSystem()
    store.put(f"{local}/", "/bucket/data", recursive=True)
    yield "memory://bucket/data"
    store.rm("/bucket", recursive=True)


@pytest.mark.parametrize("name", ["mine.npz", "pets"])
def test_data_at_a_uri_are_those_of_the_disk(name, local, remote):
    here, there = load_dataset(str(local / name)), load_dataset(f"{remote}/{name}")
    assert (there.name, there.content_sha256, there.facts) == (here.name, here.content_sha256, here.facts)
    assert load_dataset(f"file://{local / name}").content_sha256 == here.content_sha256


def test_a_run_learns_data_at_a_uri(remote, tmp_path, capsys):
    words = [f"zoo.dataset={remote}/mine.npz", "zoo.population.seeds=2", "zoo.training.epochs=1"]
    words += ["zoo.training.batch_size=10"]
    settings = [word for setting in words for word in ("--set", setting)]
    assert main(["plan", "digits-demo", *settings]) == 0
    assert main(["train", "digits-demo", "--out", str(tmp_path / "run"), "--executor", "inline", *settings]) == 0
    assert '"dataset": "mine"' in (tmp_path / "run" / "spec.json").read_text()
    capsys.readouterr()


@pytest.mark.parametrize("name", ["none.npz", "mine.txt"])
def test_what_is_not_there_is_told(name, remote):
    MemoryFileSystem().pipe_file("/bucket/data/mine.txt", b"x")
    with pytest.raises(DataError, match=r"no such file or folder|expected one of .npz, .parquet"):
        load_dataset(f"{remote}/{name}")


def test_a_file_that_leads_out_of_its_folder_is_refused(remote, monkeypatch):
    monkeypatch.setattr("zoo_pipeline.store.filesystem.Files.tree", lambda _: ["cat/../../../evil.png"])
    with pytest.raises(DataError, match=r"leads out of the folder"):
        load_dataset(f"{remote}/pets")


def test_data_that_the_disk_has_no_room_for_are_told(remote, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(datasets.shutil, "disk_usage", lambda _: usage(0, 0, 100))
    with pytest.raises(DataError, match=r"has .* KiB, but .* has room for 100 bytes; let TMPDIR name a larger disk"):
        load_dataset(f"{remote}/mine.npz")


@pytest.mark.parametrize(
    "address", ["s3://me:hunter2@bucket/x.npz", "https://host/x.npz?X-Amz-Signature=hunter2", "https://h/x?sig=hunter2"]
)
def test_an_address_with_a_secret_is_refused_without_being_shown(address, tmp_path, capsys):
    with pytest.raises(ZooError, match="holds a password or a signature") as caught:
        load_dataset(address)
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(f"name: mine\nzoo: {{dataset: '{address}'}}\n")
    said = str(caught.value)
    for command in (["plan", str(recipe)], ["plan", "digits-demo", "--set", f"zoo.dataset={address}"]):
        assert main(command) == 2
        said += "".join(capsys.readouterr())
    assert said.count("holds a password or a signature") == 3
    assert "hunter2" not in said
