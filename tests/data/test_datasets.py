import gzip
from pathlib import Path

import numpy as np
import pytest

from zoo_pipeline.data import BUILT_IN, load_dataset
from zoo_pipeline.data.tetris import SHAPES
from zoo_pipeline.errors import DataError
from zoo_pipeline.planning import planned


@pytest.mark.parametrize("name", ["digits", "tetris"])
def test_declared_facts_are_the_datas_own(name):
    assert load_dataset(name).facts == BUILT_IN[name]


def test_declared_facts_of_mnist_10k_are_the_datas_own(mnist_dir):
    assert load_dataset("mnist-10k", mnist_dir).facts == BUILT_IN["mnist-10k"]


def test_digits_are_scikit_learns_in_another_order():
    from sklearn.datasets import load_digits

    digits = load_dataset("digits")
    images = np.concatenate([digits.train_images, digits.test_images]).reshape(-1, 64) * 16
    theirs, labels = load_digits(return_X_y=True)
    assert sorted(map(tuple, images)) == sorted(map(tuple, theirs))
    ours = np.concatenate([digits.train_labels, digits.test_labels])
    assert np.array_equal(np.bincount(ours), np.bincount(labels))
    assert np.bincount(digits.test_labels).min() >= 20  # mixed: every class is tested


def test_tetris_images_are_shapes_in_noise_of_a_tenth():
    tetris = load_dataset("tetris")
    assert tetris.train_images.shape == (1_000, 1, 4, 4)
    assert tetris.test_images.shape == (500, 1, 4, 4)
    for label, shape in enumerate(SHAPES):
        images = tetris.train_images[tetris.train_labels == label, 0]
        assert 200 < len(images) < 300
        blocks = images > 0.5
        assert (blocks.sum(axis=(1, 2)) == np.sum(shape)).all()
        assert len({block.tobytes() for block in blocks}) == (5 - len(shape)) * (5 - len(shape[0]))
    noise = tetris.train_images - (tetris.train_images > 0.5)
    assert abs(noise.std() - 0.1) < 0.002
    assert abs(noise.mean()) < 0.002


def test_mnist_10k_holds_every_image_once(mnist_dir):
    small = load_dataset("mnist-10k", mnist_dir)
    images = np.concatenate([small.train_images, small.test_images])
    assert len({image.tobytes() for image in images}) == len(images) == 10_000
    assert np.bincount(np.concatenate([small.train_labels, small.test_labels])).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert abs(images.mean()) < 0.02
    assert abs(images.std() - 1) < 0.02


def test_missing_files_are_named_with_the_place_and_the_origin(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte: .*--data-dir or set ZOO_DATA_DIR"):
        load_dataset("mnist-10k")
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", tmp_path)
    assert "train-images-idx3-ubyte[.gz]: not found in" in str(caught.value)
    assert str(tmp_path / "mnist") in str(caught.value)
    assert "mnist" in str(caught.value).split("from")[-1]


def test_content_other_than_declared_is_refused(mnist_dir, tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for source in Path(mnist_dir, "mnist").glob("t10k-*"):
        (folder / source.name).write_bytes(source.read_bytes())
    labels = next(folder.glob("t10k-labels*"))
    content = bytearray(gzip.decompress(labels.read_bytes()) if labels.suffix == ".gz" else labels.read_bytes())
    content[100] = (content[100] + 1) % 10
    labels.unlink()
    (folder / "t10k-labels-idx1-ubyte").write_bytes(content)
    with pytest.raises(DataError, match="mnist-10k: content hash"):
        load_dataset("mnist-10k", tmp_path)


def test_the_whole_of_mnist_is_read_from_its_four_files_plain_or_gzipped(tmp_path):
    """Files of the real names and sizes, filled with noise."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "mnist"
    folder.mkdir()
    pixels, labels = {}, {}
    for part, rows in (("train", 60_000), ("t10k", 10_000)):
        pixels[part] = generator.integers(256, size=(rows, 28, 28), dtype=np.uint8)
        labels[part] = generator.integers(10, size=rows, dtype=np.uint8)
        header = (0x0803).to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in (rows, 28, 28))
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + pixels[part].tobytes())
        content = (0x0801).to_bytes(4, "big") + rows.to_bytes(4, "big") + labels[part].tobytes()
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))
    whole = load_dataset("mnist", tmp_path)
    assert (len(whole.train_images), len(whole.test_images)) == (60_000, 10_000)
    assert np.array_equal(whole.train_labels, labels["train"])
    assert np.allclose(whole.test_images[:, 0] * 0.3081 + 0.1307, pixels["t10k"] / 255, atol=1e-6)
    (made,) = planned("mnist-a1", ["zoo.dataset=mnist"], tmp_path)
    assert made.facts == whole.facts
    assert len(made.spec_hash) == 64
    (folder / "train-labels-idx1-ubyte.gz").rename(folder / "elsewhere")
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\[\.gz\]: not found in"):
        load_dataset("mnist", tmp_path)
