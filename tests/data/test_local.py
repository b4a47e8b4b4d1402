import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import noise, standardised_by_hand, write_hub_parquet, write_images

from zoo_pipeline.data.local import load_local
from zoo_pipeline.errors import DataError

TRAIN, TEST = noise(20, 6, 5, 3), noise(6, 6, 5, 3, seed=1)
TRAIN_LABELS, TEST_LABELS = np.array([7, 3, 7, 5] * 5), np.array([3, 5, 7] * 2)


def write_npz(path, images=TRAIN, labels=TRAIN_LABELS, test_images=TEST, test_labels=TEST_LABELS):
    np.savez(path, train_images=images, train_labels=labels, test_images=test_images, test_labels=test_labels)
    return path


def sorted_pairs(images: np.ndarray, labels: np.ndarray) -> list[tuple[bytes, int]]:
    return sorted((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))


@pytest.fixture(params=["npz", "parquet", "parquet folder", "image folder"])
def same_data(request, tmp_path):
    """The same images and labels in every format."""
    if request.param == "npz":
        return write_npz(tmp_path / "mine.npz")
    if request.param == "parquet":
        file = io.BytesIO()
        write_hub_parquet(tmp_path / "part.parquet", np.concatenate([TRAIN, TEST]), [*TRAIN_LABELS, *TEST_LABELS])
        table = pq.read_table(tmp_path / "part.parquet")
        pq.write_table(table.append_column("split", pa.array(["train"] * 20 + ["test"] * 6)), file)
        (tmp_path / "mine.parquet").write_bytes(file.getvalue())
        return tmp_path / "mine.parquet"
    for part, images, labels in (("train", TRAIN, TRAIN_LABELS), ("test", TEST, TEST_LABELS)):
        if request.param == "parquet folder":
            write_hub_parquet(tmp_path / "mine" / f"{part}.parquet", images, labels)
        else:
            for label in set(labels):
                write_images(tmp_path / "mine" / part / str(label), images[labels == label])
    return tmp_path / "mine"


def test_every_format_gives_the_same_dataset(same_data):
    dataset = load_local(same_data)
    train, test = (one.astype(np.float32) for one in standardised_by_hand(TRAIN, TEST))
    assert (dataset.name, dataset.classes) == ("mine", 3)
    assert dataset.train_images.dtype == np.float32
    assert np.allclose(sorted(dataset.train_images.reshape(20, -1).tolist()), sorted(train.reshape(20, -1).tolist()))
    expected = write_npz(same_data.parent / "expected.npz")
    pairs = load_local(expected)
    assert np.allclose(pairs.train_images, train, atol=1e-6)
    assert np.allclose(pairs.test_images, test, atol=1e-6)
    assert pairs.train_labels.tolist() == [2, 0, 2, 1] * 5
    assert pairs.test_labels.tolist() == [0, 1, 2] * 2
    for part in ("train", "test"):
        ours, theirs = (
            sorted_pairs(getattr(one, f"{part}_images"), getattr(one, f"{part}_labels")) for one in (dataset, pairs)
        )
        assert ours == theirs


def test_the_hash_is_the_datas_alone(tmp_path):
    first = load_local(write_npz(tmp_path / "mine.npz")).content_sha256
    (tmp_path / "elsewhere").mkdir()
    assert load_local(write_npz(tmp_path / "elsewhere" / "mine.npz")).content_sha256 == first
    changed = TRAIN.copy()
    changed[3, 2, 1, 0] ^= 1
    assert load_local(write_npz(tmp_path / "elsewhere" / "mine.npz", images=changed)).content_sha256 != first


def test_the_hash_of_bytes_never_changes(tmp_path):
    images = (np.arange(20 * 6 * 5 * 3) * 37 % 251).astype(np.uint8).reshape(20, 6, 5, 3)
    dataset = load_local(write_npz(tmp_path / "mine.npz", images=images, test_images=images[:6]))
    assert dataset.content_sha256 == "e2f4c879df5ae68e1d9d9949552177180006c10b5cdb3cef03b8b285d85eb84d"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("my data (v2).npz", "my-data-v2"),
        ("digits.npz", "digits-local"),
        ("--.npz", "data"),
        ("v1.2.npz", "v1.2"),
        ("x" * 100 + ".npz", "x" * 58),
        ("Größe.npz", "Gr-e"),
    ],
)
def test_the_name_is_the_files_made_safe(tmp_path, file, name):
    assert load_local(write_npz(tmp_path / file)).name == name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.ones(20, int), "test_labels": np.ones(6, int)}, "all labels are 1; expected at least 2 classes"),
        ({"labels": TRAIN_LABELS[:5]}, "has 20 training images, but 5 labels; mend it"),
        ({"test_labels": TEST_LABELS[:5]}, "has 6 test images, but 5 labels; mend it"),
        ({"test_images": TEST[:, :5]}, "training and test images are 3×6×5 and 3×5×5 (channels × height × width)"),
        ({"test_images": TEST[..., 0]}, "training and test images are 3×6×5 and 1×6×5 (channels × height × width)"),
        ({"test_images": TEST / 255}, "training images are uint8, test images float32; convert the ones"),
        ({"test_images": TEST[:0], "test_labels": TEST_LABELS[:0]}, "test_images: has shape 0×3×6×5, which is empty"),
    ],
)
def test_data_that_nothing_can_be_learnt_from_are_refused_with_one_line(tmp_path, changes, message):
    path = write_npz(tmp_path / "mine.npz", **changes)
    with pytest.raises(DataError) as caught:
        load_local(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert len(str(caught.value).splitlines()) == 1


def test_a_single_image_cannot_be_split(tmp_path):
    write_images(tmp_path / "mine" / "cats", TRAIN[:1])
    with pytest.raises(DataError, match="mine: has no training images"):
        load_local(tmp_path / "mine")


def test_places_that_are_not_there_or_of_another_kind_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.npz: no such file or folder"):
        load_local(tmp_path / "nowhere.npz")
    (tmp_path / "mine.csv").write_text("1,2")
    with pytest.raises(DataError, match=r"mine\.csv: \.csv; expected one of \.npz, \.parquet, or a folder"):
        load_local(tmp_path / "mine.csv")
    with pytest.raises(DataError, match="cannot be read: File name too long; check the path"):
        load_local(tmp_path / ("x" * 500))


def test_folders_that_may_not_be_listed_are_refused(tmp_path, monkeypatch):
    def denied(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(DataError, match="cannot be read: Permission denied; check the path and its permissions"):
        load_local(tmp_path)
