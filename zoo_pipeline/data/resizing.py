"""Images of another size."""

import numpy as np
from numpy.typing import NDArray

CHUNK_BYTES = 64 << 20  # of images resized at a time: torch needs as much again for its intermediate results


def resized_images(images: NDArray[np.float32], side: int, chunk_bytes: int = CHUNK_BYTES) -> NDArray[np.float32]:
    """Resize images to squares: bilinear, averaging over the pixels that fall together where they shrink.

    Every image is computed by itself, so the result depends on neither threads nor chunks.

    Args:
        images: float32[n, channels, height, width].
        side: height and width of the result, in pixels.
        chunk_bytes: most bytes of images resized at a time.

    Returns:
        float32[n, channels, side, side].
    """
    import torch  # takes a second, which planning need not wait for

    rows, channels, height, width = images.shape
    resized = np.empty((rows, channels, side, side), np.float32)
    step = max(1, chunk_bytes // (4 * channels * max(height * width, side * side)))
    for start in range(0, rows, step):
        chunk = torch.from_numpy(np.ascontiguousarray(images[start : start + step]))
        resized[start : start + step] = torch.nn.functional.interpolate(
            chunk, size=(side, side), mode="bilinear", align_corners=False, antialias=True
        ).numpy()
    return resized
