import io
import struct
import sys
import zlib

import numpy as np
import pytest
from pictures import noise, png
from PIL import Image

from zoo_pipeline.data.encoded import EncodedImage, common_shape, decoded
from zoo_pipeline.errors import DataError


def encoded(*contents: bytes) -> list[EncodedImage]:
    return [EncodedImage(f"image {row}", lambda content=content: content) for row, content in enumerate(contents)]


def saved(image: Image.Image, kind: str = "png", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_grey_images_have_one_channel_and_colour_images_three():
    grey, colour = noise(3, 4, 5), noise(3, 4, 5, 3)
    images = encoded(*map(png, grey))
    assert common_shape(images) == (1, 4, 5)
    assert np.array_equal(decoded(images, (1, 4, 5))[:, 0], grey)
    images = encoded(*map(png, colour))
    assert common_shape(images) == (3, 4, 5)
    assert np.array_equal(decoded(images, (3, 4, 5)), colour.transpose(0, 3, 1, 2))


def test_one_image_in_colour_makes_all_of_them_so():
    grey, colour = noise(1, 4, 5)[0], noise(1, 4, 5, 3)[0]
    images = encoded(png(grey), png(colour))
    assert common_shape(images) == (3, 4, 5)
    pixels = decoded(images, (3, 4, 5))
    assert np.array_equal(pixels[0], np.stack([grey] * 3))
    assert np.array_equal(pixels[1], colour.transpose(2, 0, 1))


def test_colour_is_made_grey_where_grey_is_asked_for():
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    assert decoded(encoded(png(red)), (1, 2, 2)).ravel().tolist() == [76] * 4  # 0.299 of 255, ITU-R 601


def test_odd_modes_are_converted():
    grey = noise(1, 4, 4)[0]
    palette = Image.fromarray(grey).convert("P")
    alpha = Image.fromarray(np.dstack([grey, grey, grey, np.full((4, 4), 9, np.uint8)]))
    images = encoded(saved(palette, transparency=bytes(range(256))), saved(alpha), saved(Image.fromarray(grey), "bmp"))
    assert common_shape(images) == (3, 4, 4)
    for pixels in decoded(images, (3, 4, 4)):
        assert np.array_equal(pixels, np.stack([grey] * 3))


def huge_png(width: int, height: int) -> bytes:
    """A header that promises more pixels than anybody wants."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


WHOLE = png(noise(1, 32, 32, 3)[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not an image"),
        (b"GIF89a, or so it says", "is not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n", "is not an image"),
        (WHOLE[: len(WHOLE) // 2], "cannot be decoded: "),
        (WHOLE[:100] + b"\0" * 50 + WHOLE[150:], "cannot be decoded: "),
        (huge_png(5_000, 5_000), "is 5000×5000 pixels, more than 16,777,216"),
        (huge_png(12_000, 12_000), "cannot be decoded: Image size (144000000 pixels) exceeds limit"),
        (huge_png(60_000, 60_000), "cannot be decoded: Image size (3600000000 pixels) exceeds limit"),
        (saved(Image.fromarray(np.zeros((4, 4), np.uint16))), "is of mode I;16, expected 8 bits per channel"),
        (png(noise(1, 4, 4)[0]), "is 4×4 pixels, expected 32×32"),
    ],
)
def test_damaged_and_monstrous_images_are_refused_with_one_line(content, message):
    with pytest.raises(DataError) as caught:
        decoded(encoded(WHOLE, content), (3, 32, 32))
    assert str(caught.value).startswith(f"image 1: {message}")
    assert len(str(caught.value).splitlines()) == 1


def test_images_of_several_sizes_are_refused():
    with pytest.raises(DataError, match="image 1: is 5×4 pixels, image 0 4×4; expected one size"):
        common_shape(encoded(png(noise(1, 4, 4)[0]), png(noise(1, 4, 5)[0])))


def test_where_pillow_is_missing_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match=r"image 0: .* needs Pillow, which is not installed; pip install pillow"):
        common_shape(encoded(WHOLE))
