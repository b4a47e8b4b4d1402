"""Seals: what a Parquet file says of its own bytes, so that any change of them shows.

Parquet has checksums of pages, but none of what says where a page lies and how it is to be read: their headers, the
page index, the footer. So every file that this package writes has the CRC32 of all its other bytes before its footer,
where readers of Parquet do not look, and from where no library takes it over into a file of its own (docs/format.md).
"""

import hashlib
import io
import os
import zlib
from typing import BinaryIO

MARK = b"zoo.seal"
SEAL_BYTES = len(MARK) + 4
_END_BYTES = 8  # length of the footer, and Parquet's mark
_READ_AT_ONCE = 4 << 20


def sealed(buffer: io.BytesIO) -> bytes:
    """The bytes of a Parquet file with its seal.

    Args:
        buffer: the file without it; changed in place.
    """
    begin = _footer(buffer)
    buffer.seek(begin)
    footer = buffer.read()
    with buffer.getbuffer() as data:
        crc = zlib.crc32(footer, zlib.crc32(data[:begin]))
    buffer.seek(begin)
    buffer.write(MARK + crc.to_bytes(4, "little") + footer)
    return buffer.getvalue()


def is_intact(data: bytes) -> bool:
    """Whether the bytes of a file are those that its seal is of; true of a Parquet file without one."""
    return hashed(io.BytesIO(data))[1]


def hashed(file: BinaryIO) -> tuple[str, bool]:
    """The sha256 (hex) of a file's bytes, and whether it is intact, as `is_intact` says; reads it once, in parts."""
    try:
        begin = _footer(file) - SEAL_BYTES
        file.seek(max(0, begin))
        seal = file.read(SEAL_BYTES)
    except ValueError:  # no Parquet file, as others say, too
        return _crc_without(file, 0)[0], False
    sha256, crc = _crc_without(file, begin)
    mark, digits = seal[: len(MARK)], seal[len(MARK) :]
    if mark == MARK:
        return sha256, crc == int.from_bytes(digits, "little")
    half = len(MARK) // 2
    return sha256, mark[:half] != MARK[:half] and mark[half:] != MARK[half:]  # one half is left where a bit has changed


def _crc_without(file: BinaryIO, begin: int) -> tuple[str, int]:
    """The sha256 (hex) of a file, and the CRC32 of it without the seal that begins there."""
    sha, crc, at = hashlib.sha256(), 0, 0
    file.seek(0)
    while part := file.read(_READ_AT_ONCE):
        sha.update(part)
        first, end = (min(max(0, place - at), len(part)) for place in (begin, begin + SEAL_BYTES))
        crc = zlib.crc32(part[end:], zlib.crc32(part[:first], crc))
        at += len(part)
    return sha.hexdigest(), crc


def _footer(file: BinaryIO) -> int:
    """Where the footer of a Parquet file begins.

    Raises:
        ValueError: it is none.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES))
    end = file.read(_END_BYTES)
    begin = size - _END_BYTES - int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or begin < 0:
        raise ValueError("no Parquet file")
    return begin
