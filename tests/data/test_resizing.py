import numpy as np
import pytest
import torch

from zoo_pipeline.data.resizing import resized_images


def images(rows: int = 13, channels: int = 3, height: int = 24, width: int = 24) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, channels, height, width)).astype(np.float32)


def test_shrinking_weighs_pixels_by_a_triangle_of_the_ratios_width():
    """By the definition: weights 1 - |x - centre| / ratio of the source pixels, normalised, in rows and columns."""
    source, side = images(2, 1, 12, 12), 4
    ratio = 12 / side
    centres = (np.arange(side) + 0.5) * ratio
    weights = np.maximum(0, 1 - np.abs(np.arange(12) + 0.5 - centres[:, None]) / ratio)
    weights /= weights.sum(axis=1, keepdims=True)
    expected = weights @ source[:, 0].astype(np.float64) @ weights.T
    assert np.allclose(resized_images(source, side)[:, 0], expected, atol=1e-6)


def test_a_constant_image_stays_constant_in_either_direction():
    constant = np.full((1, 3, 7, 11), 0.25, np.float32)
    for side in (3, 20):
        assert np.allclose(resized_images(constant, side), 0.25, atol=1e-7)


def test_growing_interpolates_between_pixels():
    ramp = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4).repeat(4, axis=2)
    assert resized_images(ramp, 8)[0, 0, 3].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]


@pytest.mark.parametrize("threads", [1, 2])
def test_neither_chunks_nor_threads_change_a_bit(threads):
    whole = resized_images(images(), 10)
    torch.set_num_threads(threads)
    try:
        for chunk_bytes in (1, 3 * 24 * 24 * 4 * 5):
            assert np.array_equal(resized_images(images(), 10, chunk_bytes), whole)
    finally:
        torch.set_num_threads(1)
