"""Seals: what a Parquet file says of its own bytes, so that any change of them shows.

Parquet has checksums of pages, but none of what says where a page lies and how it is to be read: their headers, the
page index, the footer. So every file that this package writes holds the CRC32 of all its bytes, with zeros in the
place of the seal's digits, under a key of its footer (docs/format.md).
"""

import hashlib
import io
import os
import re
import zlib
from typing import BinaryIO

KEY = "zoo.seal"
BLANK = "crc32 00000000"
_DIGITS = 8
_ENTRY = re.compile(rb"zoo\.seal\x18\x0ecrc32 ([0-9a-f]{8})")  # key and value as Thrift's compact protocol has them
_TRACE = re.compile(
    rb"zoo\.seal|\x18\x0ecrc32 "
)  # of an entry: where one of its bits has changed, one half of it has not
_END_BYTES = 8  # length of the footer, and Parquet's mark
_READ_AT_ONCE = 4 << 20


def sealed(buffer: io.BytesIO) -> bytes:
    """The bytes of a Parquet file that was written with the key `KEY` and the value `BLANK`, with its seal.

    Args:
        buffer: the file; changed in place.

    Raises:
        ValueError: there is no such key in its footer.
    """
    place = _place(buffer)
    if place is None:
        raise ValueError(f"the footer has no key {KEY} with the value {BLANK}")
    with buffer.getbuffer() as data:
        data[place : place + _DIGITS] = f"{zlib.crc32(data):08x}".encode()
    return buffer.getvalue()


def is_intact(data: bytes) -> bool:
    """Whether the bytes of a file are those that its seal is of; true of a Parquet file without one."""
    return hashed(io.BytesIO(data))[1]


def hashed(file: BinaryIO) -> tuple[str, bool]:
    """The sha256 (hex) of a file's bytes, and whether it is intact, as `is_intact` says; reads it once, in parts."""
    sha = hashlib.sha256()
    try:
        place = _place(file)
    except ValueError:
        place, intact = None, False
    else:
        intact = place is None
    crc, at, digits = 0, 0, b""
    file.seek(0)
    while part := file.read(_READ_AT_ONCE):
        sha.update(part)
        if place is not None:
            first, end = max(0, place - at), min(len(part), place + _DIGITS - at)
            if first < end:
                digits += part[first:end]
                part = part[:first] + b"0" * (end - first) + part[end:]
            crc = zlib.crc32(part, crc)
        at += len(part)
    return sha.hexdigest(), intact or digits == f"{crc:08x}".encode()


def _place(file: BinaryIO) -> int | None:
    """Where the digits of a seal begin; None where the footer has none.

    Raises:
        ValueError: no Parquet file, or what is left of a seal.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_BYTES))
    end = file.read(_END_BYTES)
    begin = size - _END_BYTES - int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or begin < 0:
        raise ValueError("no Parquet file")
    file.seek(begin)
    footer = file.read(size - _END_BYTES - begin)
    found = list(_ENTRY.finditer(footer))
    if len(found) == 1:
        return begin + found[0].start(1)
    if found or _TRACE.search(footer):
        raise ValueError("no whole seal")
    return None
