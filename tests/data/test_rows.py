import numpy as np
import pytest
from pictures import noise

from zoo_pipeline.data.rows import Rows, check_size, pixels
from zoo_pipeline.errors import DataError


def test_channels_come_first_whichever_way_they_are_stored():
    colour = noise(2, 5, 6, 3)
    assert np.array_equal(pixels("x", colour), colour.transpose(0, 3, 1, 2))
    assert np.array_equal(pixels("x", colour.transpose(0, 3, 1, 2)), colour.transpose(0, 3, 1, 2))
    grey = noise(2, 5, 6)
    for stored in (grey, grey[:, None], grey[..., None]):
        assert np.array_equal(pixels("x", stored), grey[:, None])


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int64])
def test_whole_numbers_from_0_to_255_are_bytes(dtype):
    found = pixels("x", noise(2, 4, 5).astype(dtype))
    assert found.dtype == np.uint8
    assert np.array_equal(found[:, 0], noise(2, 4, 5))


def test_doubles_become_floats():
    found = pixels("x", np.linspace(-1, 1, 40).reshape(2, 4, 5))
    assert found.dtype == np.float32
    assert np.allclose(found.ravel(), np.linspace(-1, 1, 40))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 3, 8, 3)), "has shape 2×3×8×3, of which both the second and the last dimension can be"),
        (np.zeros((2, 4, 8, 8)), "has shape 2×4×8×8, of which neither the second nor the last dimension can be"),
        (np.zeros((2, 64)), "has shape 2×64, expected rows × height × width, or four"),
        (np.zeros((0, 8, 8)), "has shape 0×1×8×8, which is empty"),
        (np.full((1, 2, 2), 256), "holds whole numbers from 256 to 256, expected 0 to 255"),
        (np.full((1, 2, 2), -1), "holds whole numbers from -1 to -1, expected 0 to 255"),
        (np.full((1, 2, 2), np.nan), "holds values that are not finite"),
        (np.full((1, 2, 2), 1e39), "holds values that are not finite in float32"),
        (np.zeros((1, 2, 2), np.complex64), "holds complex64, expected bytes or floats"),
        (np.zeros((1, 2, 2), bool), "holds bool, expected bytes or floats"),
    ],
)
def test_what_is_no_image_is_refused_with_one_line(values, message):
    with pytest.raises(DataError) as caught:
        pixels("here", values)
    assert str(caught.value).startswith(f"here: {message}")
    assert len(str(caught.value).splitlines()) == 1


def test_a_size_beyond_memory_is_refused():
    check_size("here", (4 << 30, 1, 1, 1))
    with pytest.raises(DataError, match="here: images of shape 4294967297×1×1×1 take 17,179,869,188 bytes"):
        check_size("here", ((4 << 30) + 1, 1, 1, 1))


def test_a_split_takes_four_fifths_by_content_whatever_the_order():
    images, labels = noise(50, 1, 3, 3), np.arange(50)
    train, test = Rows(images, labels).split()
    assert (len(train.labels), len(test.labels)) == (40, 10)
    assert sorted([*train.labels, *test.labels]) == list(range(50))
    assert np.array_equal(train.images, images[train.labels])
    shuffled = np.random.default_rng(1).permutation(50)
    again = Rows(images, labels)[shuffled].split()
    assert np.array_equal(again[0].labels, train.labels)
    assert np.array_equal(again[1].images, test.images)


@pytest.mark.parametrize(("rows", "train_rows"), [(1, 0), (2, 1), (3, 2), (5, 4)])
def test_a_split_leaves_at_least_one_row_for_testing(rows, train_rows):
    train, test = Rows(noise(rows, 1, 2, 2), np.arange(rows)).split()
    assert (len(train.labels), len(test.labels)) == (train_rows, rows - train_rows)
