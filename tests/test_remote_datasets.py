"""Datasets at URIs: in a bucket as on the local disk, with a store's faults and hostile names."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.chaos.proxy import EXPIRED
from tests.store.buckets import SECRET, server
from zoo_pipeline import load_dataset
from zoo_pipeline.cli import main
from zoo_pipeline.errors import DataError, StoreError

pytest.importorskip("s3fs")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # aiohttp's sessions end with the process

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(256, size=(60, 8, 8), dtype=np.uint8)
LABELS = np.arange(60) % 3
SMALL = [
    word
    for value in (
        "zoo.training.epochs=1",
        "zoo.training.batch_size=8",
        "zoo.population.seeds=1",
        "resources={stack: 1, threads: 1}",
    )
    for word in ("--set", value)
]


@pytest.fixture(scope="module")
def endpoint():
    with server("moto") as address:
        yield address


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.npz"
    split = {"train_images": IMAGES[:40], "train_labels": LABELS[:40]}
    np.savez(path, **split, test_images=IMAGES[40:], test_labels=LABELS[40:])
    return path


def options(bucket):
    return [word for option in bucket.words for word in ("--storage-option", option)]


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


def test_a_file_in_a_bucket_is_the_dataset_that_it_is_locally_whatever_fails_in_between(bucket, mine):
    files = bucket.files()
    files.publish("mine.npz", mine.read_bytes())
    bucket.proxy.inject("503", "reset", "500")
    there, here = load_dataset(f"{bucket.root}/mine.npz"), load_dataset(str(mine))
    assert (there.name, there.content_sha256) == ("mine", here.content_sha256)
    assert bucket.proxy.injected.total() == 3
    assert load_dataset(f"file://{mine}").facts == here.facts


def test_a_folder_in_a_bucket_is_the_dataset_that_it_is_locally(bucket, tmp_path):
    files, local = bucket.files(), tmp_path / "shapes"
    files.filesystem.pipe_file(f"{files.path}/shapes/", b"")  # as consoles make a folder
    for number, image in enumerate(IMAGES[:12]):
        name = f"{'train' if number < 8 else 'test'}/class-{number % 2}/{number}.png"
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(png(image))
        files.publish(f"shapes/{name}", png(image))
    there = load_dataset(f"{bucket.root}/shapes/")
    assert there.facts == load_dataset(str(local)).facts
    assert (there.name, len(there.train_images)) == ("shapes", 8)


def test_a_zoo_is_planned_trained_and_mended_with_a_dataset_in_a_bucket(bucket, mine, tmp_path, capsys):
    files, out = bucket.files(), tmp_path / "run"
    files.publish("mine.npz", mine.read_bytes())
    dataset = ["--set", f"zoo.dataset={bucket.root}/mine.npz", *options(bucket)]
    assert main(["plan", "digits-demo", "--json", *SMALL, *dataset]) == 0
    assert json.loads(capsys.readouterr().out)["dataset"]["content_sha256"] == load_dataset(str(mine)).content_sha256
    assert main(["train", "digits-demo", "--out", str(out), "--executor", "inline", *SMALL, *dataset]) == 0
    (shard,) = (out / "checkpoints").iterdir()
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    resources = ["--set", "resources={stack: 1, threads: 1}"]
    assert main(["verify", str(out), "--repair", "--executor", "inline", *resources, *dataset]) == 0
    assert shard.read_bytes() == whole
    assert json.loads((out / "spec.json").read_bytes())["spec"]["dataset"] == "mine"
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err


def test_what_is_no_dataset_in_a_bucket_is_told_in_one_line_by_its_address(bucket):
    files = bucket.files()
    files.publish("mine.npz", b"no arrays")
    files.publish("mine.csv", b"1,2")
    for name, told in (
        ("mine.npz", "mine.npz: "),
        ("mine.csv", r"\.csv; expected one of \.npz"),
        ("other.npz", "no such file or folder"),
    ):
        with pytest.raises(DataError, match=told) as caught:
            load_dataset(f"{bucket.root}/{name}")
        assert str(caught.value).startswith(f"{bucket.root}/{name}: ")
        assert len(str(caught.value).splitlines()) == 1
    bucket.proxy.inject(EXPIRED)
    with pytest.raises(StoreError, match=r"renew (the credentials|them)"):
        load_dataset(f"{bucket.root}/mine.npz")


def test_a_dataset_larger_than_the_disk_is_not_begun(bucket, mine, monkeypatch):
    bucket.files().publish("mine.npz", mine.read_bytes())
    usage = __import__("shutil").disk_usage("/")
    monkeypatch.setattr("zoo_pipeline.datasets.shutil.disk_usage", lambda _: usage._replace(free=100))
    with pytest.raises(DataError, match=r"mine.npz: has .* KiB, but .* only 100 bytes free; TMPDIR names another"):
        load_dataset(f"{bucket.root}/mine.npz")


def test_a_name_in_a_bucket_never_leads_out_of_the_temporary_folder(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files = bucket.files()
    files.publish("shapes/train/../../../escaped.png", png(IMAGES[0]))
    with pytest.raises(DataError, match="which no file of a disk can have"):
        load_dataset(f"{bucket.root}/shapes")
    assert list(tmp_path.rglob("*")) == []


ADDRESSES = [
    "s3://key:hunter2@bucket/x.npz",
    "s3://key:hun/ter2@bucket/x.npz",
    "https://user:hunter2@host",
    "https://host/x.npz?X-Amz-Algorithm=a&X-Amz-Signature=hunter2",
    "simplecache::https://user:hunter2@host:8080/x.npz",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_with_a_secret_is_refused_without_being_shown(address, tmp_path, capsys):
    recipe, out = tmp_path / "mine.yaml", tmp_path / "run"
    lines = ["name: 'x-{dataset}'", "zoo:", f"  dataset: ['{address}', digits]"]
    recipe.write_text("\n".join(lines) + "\n")
    for command in (
        ["train", "digits-demo", "--out", str(out), "--set", f"zoo.dataset={address}"],
        ["train", str(recipe), "--out", str(out)],
        ["plan", "digits-demo", "--set", f"description=from {address}"],
        ["plan", "digits-demo", "--set", f"zoo.dataset.x={address}"],
        ["plan", "digits-demo", "--set", f"zoo.dataset:{address}"],
        ["plan", address],
        ["status", address],
    ):
        assert main(command) == 2
        told = capsys.readouterr()
        assert "hun" not in told.out + told.err
        assert "ter2" not in told.out + told.err
        assert len(told.err.splitlines()) == 1
    with pytest.raises(StoreError, match="holds a password or a signature") as caught:
        load_dataset(address)
    assert "ter2" not in str(caught.value)
    assert not out.exists()


def test_an_interrupted_command_does_not_repeat_a_secret(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo_pipeline.workflow.each_run", interrupted)
    assert main(["train", "digits-demo", "--out", "run", "--storage-option", "secret=hunter2"]) == 130
    told = capsys.readouterr().err
    assert "To go on: zoo train digits-demo --out run" in told
    assert "hunter2" not in told
