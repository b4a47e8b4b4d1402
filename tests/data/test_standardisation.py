import numpy as np
import pytest
from pictures import noise, standardised_by_hand

from zoo_pipeline.data.standardisation import standardised


def test_bytes_become_what_the_textbook_says():
    train, test = noise(50, 6, 5, 3), noise(20, 6, 5, 3, seed=1)
    found = standardised(train.transpose(0, 3, 1, 2), test.transpose(0, 3, 1, 2))
    for ours, expected in zip(found, standardised_by_hand(train, test), strict=True):
        assert ours.dtype == np.float32
        assert np.allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_training_pixels_have_mean_0_and_deviation_1_in_every_channel(dtype):
    train = (noise(3_000, 3, 4, 4) // np.array([1, 2, 5]).reshape(3, 1, 1)).astype(dtype)
    scaled = standardised(train, train[:1])[0].astype(np.float64)
    assert np.allclose(scaled.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    assert np.allclose(scaled.std(axis=(0, 2, 3)), 1, atol=1e-6)


def test_test_images_change_nothing():
    train = noise(30, 1, 4, 4)
    first, second = (standardised(train, noise(5, 1, 4, 4, seed=seed))[0] for seed in (1, 2))
    assert np.array_equal(first, second)


def test_floats_and_bytes_of_the_same_picture_agree():
    train, test = noise(30, 3, 4, 4), noise(5, 3, 4, 4, seed=1)
    floats = standardised((train / 255).astype(np.float32), (test / 255).astype(np.float32))
    for one, other in zip(standardised(train, test), floats, strict=True):
        assert np.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("value", [np.uint8(7), np.float32(0.1)])
def test_a_constant_channel_becomes_zero(value):
    train = np.full((5, 1, 2, 2), value)
    assert standardised(train, train)[0].tolist() == np.zeros((5, 1, 2, 2)).tolist()


def test_the_order_of_rows_changes_no_bit_of_bytes():
    train = noise(2_500, 1, 3, 3)
    forth, back = standardised(train, train)[0], standardised(train[::-1], train)[0]
    assert np.array_equal(forth, back[::-1])
