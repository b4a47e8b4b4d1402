import numpy as np
import pytest
from pictures import noise, png, write_images

from zoo_pipeline.data.folder import read_folder
from zoo_pipeline.errors import DataError

CATS, DOGS = noise(4, 5, 6, 3), noise(3, 5, 6, 3, seed=1)


def test_the_folders_name_splits_and_classes(tmp_path):
    write_images(tmp_path / "train" / "dogs", DOGS)
    write_images(tmp_path / "train" / "cats", CATS[:3])
    write_images(tmp_path / "test" / "cats", CATS[3:])
    (tmp_path / "README.txt").write_text("left out")
    (tmp_path / "train" / "cats" / ".DS_Store").write_text("left out")
    train, test = read_folder(tmp_path)
    assert np.array_equal(train.images, np.concatenate([CATS[:3], DOGS]).transpose(0, 3, 1, 2))
    assert train.labels.tolist() == ["cats"] * 3 + ["dogs"] * 3
    assert np.array_equal(test.images, CATS[3:].transpose(0, 3, 1, 2))
    assert test.labels.tolist() == ["cats"]


def test_without_splits_four_fifths_are_for_training_whatever_the_files_are_called(tmp_path):
    write_images(tmp_path / "a" / "cats", CATS)
    write_images(tmp_path / "a" / "dogs", DOGS)
    write_images(tmp_path / "b" / "cats", CATS[::-1])
    write_images(tmp_path / "b" / "dogs", DOGS[::-1])
    train, test = read_folder(tmp_path / "a")
    assert (len(train.labels), len(test.labels)) == (6, 1)
    whole = np.concatenate([CATS, DOGS]).transpose(0, 3, 1, 2)
    found = np.concatenate([train.images, test.images])
    assert sorted(image.tobytes() for image in found) == sorted(image.tobytes() for image in whole)
    again = read_folder(tmp_path / "b")
    assert np.array_equal(again[0].images, train.images)
    assert again[0].labels.tolist() == train.labels.tolist()
    assert np.array_equal(again[1].images, test.images)


def test_grey_and_colour_together_are_colour(tmp_path):
    write_images(tmp_path / "cats", CATS)
    write_images(tmp_path / "dogs", DOGS[..., 0])
    train, test = read_folder(tmp_path)
    assert train.images.shape == (6, 3, 5, 6)
    assert test.images.shape == (1, 3, 5, 6)


def test_links_out_of_the_folder_are_refused_and_inner_ones_read(tmp_path):
    write_images(tmp_path / "mine" / "cats", CATS)
    write_images(tmp_path / "mine" / "dogs", DOGS)
    (tmp_path / "mine" / "dogs" / "again.png").symlink_to(tmp_path / "mine" / "cats" / "000.png")
    assert sum(len(rows.labels) for rows in read_folder(tmp_path / "mine")) == 8
    (tmp_path / "secret.png").write_bytes(png(CATS[0]))
    (tmp_path / "mine" / "dogs" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"link\.png: links to .*secret\.png, outside of .*mine; copy the file"):
        read_folder(tmp_path / "mine")


def test_a_linked_class_folder_is_refused_too(tmp_path):
    write_images(tmp_path / "elsewhere", DOGS)
    write_images(tmp_path / "mine" / "cats", CATS)
    (tmp_path / "mine" / "dogs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="outside of"):
        read_folder(tmp_path / "mine")


def test_what_is_no_image_is_refused(tmp_path):
    write_images(tmp_path / "cats", CATS)
    (tmp_path / "cats" / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"notes\.txt: expected an image \(\.bmp, .*\); remove or convert it"):
        read_folder(tmp_path)
    (tmp_path / "cats" / "notes.txt").rename(tmp_path / "cats" / "notes.png")
    with pytest.raises(DataError, match=r"notes\.png: is not an image"):
        read_folder(tmp_path)


def test_truncated_images_and_odd_sizes_are_told_with_their_files(tmp_path):
    write_images(tmp_path / "cats", CATS)
    (tmp_path / "cats" / "001.png").write_bytes(png(CATS[1])[:60])
    with pytest.raises(DataError, match=r"001\.png: cannot be decoded"):
        read_folder(tmp_path)
    (tmp_path / "cats" / "001.png").write_bytes(png(noise(1, 9, 9, 3)[0]))
    with pytest.raises(DataError, match=r"001\.png: is 9×9 pixels, .*000\.png 6×5; expected one size"):
        read_folder(tmp_path)


def test_folders_without_images_or_with_one_split_alone_are_refused(tmp_path):
    with pytest.raises(DataError, match="holds no images in class folders; expected train/CLASS"):
        read_folder(tmp_path)
    write_images(tmp_path / "train" / "cats", CATS)
    with pytest.raises(DataError, match="has train/ but no test/; add it"):
        read_folder(tmp_path)
