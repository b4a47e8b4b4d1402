import numpy as np
import pytest
from pictures import noise

from zoo_pipeline.data import BUILT_IN, facts_of, load_dataset
from zoo_pipeline.errors import DataError


def write(path):
    images, labels = noise(9, 4, 4), np.array([0, 1, 2] * 3)
    np.savez(path, train_images=images, train_labels=labels, test_images=images[:3], test_labels=labels[:3])
    return path


def test_facts_of_built_in_datasets_are_declared():
    assert facts_of("tiny-imagenet") is BUILT_IN["tiny-imagenet"]
    assert (BUILT_IN["eurosat"].train_rows, BUILT_IN["eurosat"].test_rows) == (21_600, 5_400)


def test_facts_of_a_path_are_read(tmp_path):
    facts = facts_of(str(write(tmp_path / "mine.npz")))
    assert (facts.name, facts.image_shape, facts.classes) == ("mine", (1, 4, 4), 3)
    assert (facts.train_rows, facts.test_rows) == (9, 3)
    assert facts.content_sha256 == load_dataset(str(tmp_path / "mine.npz")).content_sha256


def test_files_and_folders_are_told_from_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    write("mine.npz")
    assert load_dataset("mine.npz").name == load_dataset("./mine.npz").name == load_dataset("~/mine.npz").name == "mine"
    (tmp_path / "empty").mkdir()
    (tmp_path / "digits").mkdir()
    with pytest.raises(DataError, match="empty: holds no images"):
        load_dataset("empty")
    assert load_dataset("digits").facts == BUILT_IN["digits"]  # a folder of the same name does not hide it
    with pytest.raises(DataError, match="a/b: no such file or folder"):
        load_dataset("a/b")


def test_unknown_names_get_the_nearest_spelling_and_the_list():
    for name in ("cifar-10", "x" * 500, ""):
        with pytest.raises(DataError) as caught:
            load_dataset(name)
        assert len(str(caught.value).splitlines()) == 1
        assert str(caught.value).startswith(f"{name}: no such dataset")
        assert ("(did you mean cifar10?)" in str(caught.value)) == (name == "cifar-10")
        assert f"; expected one of {', '.join(BUILT_IN)}, or the path of" in str(caught.value)
