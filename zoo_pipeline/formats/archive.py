"""Zip archives, read without a copy; the directories of archives of one shape are taken apart once.

torch.save writes one record for each storage. Of a zoo's thousands of files the directories differ in checksums, times
and the folder that all records lie in alone, so all other bytes tell whether a directory is known
(APPNOTE.TXT of PKWARE, sections 4.3 and 4.4).
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.formats.state import FileRefused

MOST_RATIO = 200  # unpacked bytes for each byte of the file, from which on …
UNSUSPECTED_BYTES = 256 << 20  # … and unpacked bytes for which the archive is a zip bomb

_STORED, _DEFLATED = 0, 8
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL = 0xFFFFFFFF  # the number is in the extra field
_MOST_KNOWN = 256
_KNOWN_BYTES = 256 << 10  # larger directories are not remembered
MOST_RECORDS = 1 << 18


@dataclass(frozen=True, slots=True)
class ZipRecord:
    """Where a record lies.

    Attributes:
        number: its place in the directory.
        start: the first byte of what is stored.
        stored: bytes that are stored.
        size: bytes of the content.
        packed: whether it is deflated.
    """

    number: int
    start: int
    stored: int
    size: int
    packed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Directory:
    """The records of an archive by name, without the folder that all lie in."""

    records: dict[str, ZipRecord]


@dataclass(frozen=True, slots=True)
class ZipArchive:
    """An archive's records and their checksums.

    Attributes:
        view: the file.
        directory: its records; the same object for all archives of one shape.
        checksums: CRC32 by the records' numbers; none where the writer wrote none, as torch can be told to.
    """

    view: memoryview
    directory: Directory
    checksums: list[int]

    def beginning(self, name: str, most: int) -> bytes:
        """The first bytes of a record's content, held against nothing.

        Raises:
            FileRefused: they cannot be unpacked.
        """
        record = self.directory.records[name]
        stored = self.view[record.start : record.start + (record.stored if record.packed else min(record.stored, most))]
        return _unpacked(stored, most, name) if record.packed else bytes(stored)

    def content(self, name: str) -> memoryview:
        """A record's content, held against its checksum.

        Raises:
            FileRefused: there is none of that name, or it is damaged.
        """
        record = self.directory.records.get(name)
        if record is None:
            raise FileRefused(f"truncated: the archive has no record {name}")
        content = self.view[record.start : record.start + record.stored]
        if record.packed:
            content = memoryview(_inflated(content, record.size, name))
        if self.checksums and zlib.crc32(content) != self.checksums[record.number]:
            raise FileRefused(f"damaged: record {name} has another CRC32 than the archive says")
        return content


@dataclass(frozen=True, slots=True)
class _Known:
    """A directory, and what bytes it follows from."""

    central: int  # the first byte
    mask: NDArray[np.uint8]  # of all bytes from there on; 0 where they may be anything
    masked: bytes
    local_at: NDArray[np.intp]  # bytes of the headers before the records
    local: bytes
    checksums_at: NDArray[np.intp]
    directory: Directory


_known: dict[tuple[int, bytes], _Known] = {}


def open_archive(view: memoryview) -> ZipArchive:
    """Look at an archive's directory.

    Raises:
        FileRefused: truncated, damaged, encrypted, packed in a way of its own, or a zip bomb.
    """
    octets = np.frombuffer(view, np.uint8)
    key = (len(octets), bytes(view[-_END.size :]))
    known = _known.get(key)
    if known is None or not _fits(known, octets):
        try:
            known = _taken_apart(view, octets)
        except (struct.error, UnicodeDecodeError, OverflowError) as error:
            raise FileRefused(f"truncated: the zip archive's directory cannot be read ({error})") from None
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        if len(known.masked) <= _KNOWN_BYTES:
            _known[key] = known
    checksums = octets[known.checksums_at].view("<u4").tolist()
    return ZipArchive(view, known.directory, checksums if any(checksums) else [])


def _fits(known: _Known, octets: NDArray[np.uint8]) -> bool:
    central = octets[known.central :]
    return bool((central & known.mask).tobytes() == known.masked and octets[known.local_at].tobytes() == known.local)


def _taken_apart(view: memoryview, octets: NDArray[np.uint8]) -> _Known:
    count, central, end = _ending(view)
    at = central
    names: list[str] = []
    records: list[ZipRecord] = []
    local_at: list[int] = []
    checksums_at: list[int] = []
    mask = np.full(len(octets) - central, 0xFF, np.uint8)
    name_at = []
    for number in range(count):
        mark, _, _, flags, method, _, _, _, stored, size, named, extra, comment, _, _, _, start = _ENTRY.unpack_from(
            view, at
        )
        after = at + _ENTRY.size + named + extra + comment
        if mark != b"PK\x01\x02" or after > end:
            raise FileRefused("truncated: the zip archive's directory is damaged")
        name = bytes(view[at + _ENTRY.size : at + _ENTRY.size + named]).decode()
        more = view[at + _ENTRY.size + named : at + _ENTRY.size + named + extra]
        size, stored, start = _large(more, size, stored, start)
        if flags & 1 or method not in (_STORED, _DEFLATED):
            raise FileRefused(f"zip method: record {name} is {'encrypted' if flags & 1 else f'packed by {method}'}")
        mark, *_, local_named, local_extra = _LOCAL.unpack_from(view, start)
        begin = start + _LOCAL.size + local_named + local_extra
        elsewhere = mark != b"PK\x03\x04" or begin + stored > central or (method == _STORED and stored != size)
        if elsewhere or view[start + _LOCAL.size : begin - local_extra] != name.encode():
            raise FileRefused(f"truncated: record {name} is not where the zip archive's directory says")
        names.append(name)
        records.append(ZipRecord(number, begin, stored, size, method == _DEFLATED))
        local_at += [*range(start, start + 4), *range(start + 26, start + 30)]
        checksums_at += range(at + 16, at + 20)
        mask[at - central + 12 : at - central + 20] = 0  # time, date and checksum
        name_at.append(at - central + _ENTRY.size)
        at = after
    _check_size(records, len(octets))
    folder = _folder(names)
    for begin in name_at:
        mask[begin : begin + folder] = 0
    inner = {name[folder:]: record for name, record in zip(names, records, strict=True)}
    if len(inner) != len(names):
        raise FileRefused("damaged: the zip archive has two records of one name")
    where: tuple[NDArray[Any], NDArray[Any]] = (np.array(local_at, np.intp), np.array(checksums_at, np.intp))
    masked = (octets[central:] & mask).tobytes()
    return _Known(central, mask, masked, where[0], octets[where[0]].tobytes(), where[1], Directory(inner))


def _ending(view: memoryview) -> tuple[int, int, int]:
    """How many records there are, where the directory begins and where it ends."""
    tail = bytes(view[-_END.size - 0xFFFF :])
    before = len(view) - len(tail)
    found = tail.rfind(b"PK\x05\x06", 0, len(tail) - _END.size + 4)
    while found >= 0 and found + _END.size + int.from_bytes(tail[found + 20 : found + 22], "little") != len(tail):
        found = tail.rfind(b"PK\x05\x06", 0, found)  # what was found was part of the comment
    if found < 0:
        raise FileRefused("truncated: the zip archive has no end")
    at = before + found
    _, _, _, _, count, size, central, _ = _END.unpack_from(view, at)
    if at >= _LOCATOR.size and bytes(view[at - _LOCATOR.size : at - _LOCATOR.size + 4]) == b"PK\x06\x07":
        at = _LOCATOR.unpack_from(view, at - _LOCATOR.size)[2]
        mark, _, _, _, _, _, _, count, size, central = _END64.unpack_from(view, at)
        if mark != b"PK\x06\x06":
            raise FileRefused("truncated: the zip archive's end is damaged")
    if central + size > at or count * _ENTRY.size > size:
        raise FileRefused("truncated: the zip archive's directory is not where its end says")
    if count > MOST_RECORDS:
        raise FileRefused(f"too large: a zip archive of {count:,} records, expected at most {MOST_RECORDS:,}")
    return count, central, central + size


def _large(extra: memoryview, *numbers: int) -> tuple[int, ...]:
    """Size, stored size and start, those that do not fit into 32 bits from the extra field."""
    if _FULL not in numbers:
        return numbers
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            wide = iter(struct.unpack_from(f"<{numbers.count(_FULL)}Q", extra, at + 4))
            return tuple(next(wide) if number == _FULL else number for number in numbers)
        at += 4 + length
    raise FileRefused("damaged: the zip archive lacks a 64-bit size")


def _check_size(records: list[ZipRecord], file_bytes: int) -> None:
    if sum(record.stored for record in records) > file_bytes:
        raise FileRefused("zip bomb: the records of the archive overlap")
    unpacked = sum(record.size for record in records)
    if unpacked > max(UNSUSPECTED_BYTES, MOST_RATIO * file_bytes):
        raise FileRefused(f"zip bomb: {file_bytes:,} bytes would become {unpacked:,}")


def _folder(names: list[str]) -> int:
    """Bytes of the folder that all records lie in, its slash included; 0 where there is none."""
    first = names[0].partition("/")[0] + "/" if names else ""
    return len(first) if first.isascii() and all(name.startswith(first) for name in names) else 0


def _inflated(stored: memoryview, size: int, name: str) -> bytes:
    content = _unpacked(stored, size + 1, name)  # so that one byte too many is seen, and no more are taken
    if len(content) != size:
        raise FileRefused(f"zip bomb: record {name} unpacks to other than the {size:,} bytes that the archive says")
    return content


def _unpacked(stored: memoryview, most: int, name: str) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(stored, most)
    except zlib.error as error:
        raise FileRefused(f"damaged: record {name} cannot be unpacked ({error})") from None
