import io
import zipfile

import numpy as np
import pytest
from pictures import noise

from zoo_pipeline.data.npz import read_npz
from zoo_pipeline.errors import DataError

GOOD = {
    "train_images": noise(6, 4, 4),
    "train_labels": np.array([0, 1, 2, 0, 1, 2]),
    "test_images": noise(2, 4, 4, seed=1),
    "test_labels": np.array([1, 2]),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_is_read(tmp_path, save):
    save(tmp_path / "mine.npz", more=np.zeros(3), **GOOD)
    train, test = read_npz(tmp_path / "mine.npz")
    assert np.array_equal(train.images[:, 0], GOOD["train_images"])
    assert np.array_equal(test.images[:, 0], GOOD["test_images"])
    assert train.images.dtype == np.uint8
    assert train.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert test.labels.tolist() == [1, 2]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickled_objects_are_never_loaded(tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.npz", "w") as archive:
        for name, array in {**GOOD, "train_labels": np.array([Bomb()], dtype=object)}.items():
            file = io.BytesIO()
            np.lib.format.write_array(file, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", file.getvalue())
    with pytest.raises(DataError, match="train_labels holds pickled objects, which are not read"):
        read_npz(tmp_path / "mine.npz")


def header_only(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (header_only((1 << 40, 8, 8)), "images of shape 1099511627776×8×8 take"),
        (header_only((100, 8, 8)), "cannot be read as .npz: "),
        (b"", "cannot be read as .npz: "),
        (b"\x93NUMPY\x01\x00\x06\x00{1:2}\n", "cannot be read as .npz: "),
        (b"no array at all", "cannot be read as .npz: "),
    ],
)
def test_damaged_arrays_are_refused_with_one_line(tmp_path, member, message):
    path = tmp_path / "mine.npz"
    np.savez(path, **{name: array for name, array in GOOD.items() if name != "train_images"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train_images.npy", member)
    with pytest.raises(DataError) as caught:
        read_npz(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_missing_arrays_are_named_with_those_that_are_there(tmp_path):
    np.savez(tmp_path / "mine.npz", x_train=np.zeros(3))
    with pytest.raises(DataError, match=r"train_images is missing; expected train_images, .*, found x_train"):
        read_npz(tmp_path / "mine.npz")


def test_files_that_are_no_archives_or_cut_are_refused(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, **GOOD)
    whole = path.read_bytes()
    for content in (b"", b"nothing", whole[:-30], whole[:400] + bytes([whole[400] ^ 1]) + whole[401:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"cannot be read as \.npz"):
            read_npz(path)
