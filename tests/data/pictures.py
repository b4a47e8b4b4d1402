"""Small images with known pixels, and the files that datasets come in."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def noise(rows: int, *shape: int, seed: int = 0) -> np.ndarray:
    """Random bytes uint8[rows, *shape]."""
    return np.random.default_rng(seed).integers(256, size=(rows, *shape), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """A PNG of uint8[height, width] or [height, width, channels]."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def write_hub_parquet(path: Path, pixels: np.ndarray, labels: list, image: str = "image", label: str = "label") -> None:
    """A Parquet file as on the hub: images as struct<bytes, path>."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = pa.array(
        [{"bytes": png(one), "path": f"{row}.png"} for row, one in enumerate(pixels)],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    pq.write_table(pa.table({image: images, label: pa.array(labels)}), path)


def write_images(folder: Path, pixels: np.ndarray) -> None:
    """PNG files 000.png, 001.png, … in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for row, one in enumerate(pixels):
        (folder / f"{row:03}.png").write_bytes(png(one))


def standardised_by_hand(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """What uint8[n, h, w] or [n, h, w, c] become, by the textbook: float64[n, c, h, w] of train and the others."""
    arrays = [(one[..., None] if one.ndim == 3 else one).transpose(0, 3, 1, 2) / 255 for one in (train, *others)]
    mean, deviation = (getattr(arrays[0], moment)(axis=(0, 2, 3), keepdims=True) for moment in ("mean", "std"))
    return [(one - mean) / deviation for one in arrays]
