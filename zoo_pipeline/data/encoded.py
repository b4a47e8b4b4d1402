"""Images in files or in bytes, such as PNG and JPEG: what they hold, and their pixels."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.data.rows import check_size
from zoo_pipeline.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # no others: some of Pillow's start programs
MOST_PIXELS = 1 << 24  # per image
_GREY = ("1", "L", "LA")
_COLOUR = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


@dataclass(frozen=True)
class EncodedImage:
    """An image that has not been decoded yet.

    Attributes:
        where: the file, and the row if it has several, for errors.
        read: gives its bytes.
    """

    where: str
    read: Callable[[], bytes]


def common_shape(images: Sequence[EncodedImage]) -> tuple[int, int, int]:
    """Channels, height and width of images that are all of one size; one channel where all of them are grey, else 3.

    Raises:
        DataError: an image cannot be read, is too large or of another size than the first.
    """
    colours, size = set(), None
    for image in images:
        with _opened(image) as opened:
            colours.add(opened.mode not in _GREY)
            size = size or opened.size
            if opened.size != size:
                raise DataError(
                    f"{image.where}: is {opened.width}×{opened.height} pixels, {images[0].where} {size[0]}×{size[1]}; "
                    f"expected one size; resize the images"
                )
    assert size is not None, "no images"
    return (3 if any(colours) else 1), size[1], size[0]


def decoded(images: Sequence[EncodedImage], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Decode images, grey or in colour as asked for.

    PNG, BMP and PPM give the same bytes everywhere; of JPEG, versions of Pillow may round a value differently.

    Args:
        images: n images.
        shape: channels (1 or 3), height and width that are expected.

    Returns:
        uint8[n, channels, height, width].

    Raises:
        DataError: an image is damaged, too large, of another size or has more than 8 bits per channel.
    """
    channels, height, width = shape
    check_size(images[0].where if images else "images", (len(images), *shape))
    result = np.empty((len(images), *shape), np.uint8)
    for row, image in enumerate(images):
        with _opened(image) as opened:
            if opened.size != (width, height):
                raise DataError(
                    f"{image.where}: is {opened.width}×{opened.height} pixels, expected {width}×{height}; "
                    f"this is not the dataset, or its images were resized"
                )
            values = np.asarray(_converted(opened, channels))
        result[row] = values[None] if channels == 1 else values.transpose(2, 0, 1)
    return result


@contextmanager
def _opened(encoded: EncodedImage) -> "Iterator[Image]":
    """An image whose header has been read and found good; what fails inside is told with its place."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise DataError(
            f"{encoded.where}: reading images needs Pillow, which is not installed; pip install pillow"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata do no harm
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(encoded.read()), formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise DataError(
                        f"{encoded.where}: is {image.width}×{image.height} pixels, more than {MOST_PIXELS:,}; resize it"
                    )
                if image.mode not in _GREY + _COLOUR:
                    raise DataError(
                        f"{encoded.where}: is of mode {image.mode}, expected 8 bits per channel, grey or in colour; "
                        f"convert it"
                    )
                yield image
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(
            f"{encoded.where}: is not an image, or a damaged one; expected one of {', '.join(FORMATS)}; replace it"
        ) from None
    except Exception as error:  # Pillow raises a dozen kinds on damaged images
        raise DataError(
            f"{encoded.where}: cannot be decoded: {' '.join(str(error).split())}; fetch or write it again"
        ) from error


def _converted(image: "Image", channels: int) -> "Image":
    if channels == 1:
        return image.convert("L")
    if image.mode in ("P", "PA"):  # a palette may have transparent colours, which only RGBA can tell
        image = image.convert("RGBA")
    return image.convert("RGB")
