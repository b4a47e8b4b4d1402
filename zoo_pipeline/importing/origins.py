"""Origins: where files to be imported lie. A folder or a single file, at a path or a URI; or a zip, left packed."""

import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from zoo_pipeline.counts import binary
from zoo_pipeline.errors import StoreError
from zoo_pipeline.formats.archive import MOST_RATIO, UNSUSPECTED_BYTES
from zoo_pipeline.importing.cnn_zoo import CnnZoo, is_cnn_zoo
from zoo_pipeline.importing.file_origin import FileOrigin
from zoo_pipeline.importing.hub_folder import find_hub_folder
from zoo_pipeline.importing.stamps import Stamp
from zoo_pipeline.store.filesystem import Files

MOST_BYTES = 64 << 30  # of a file: none is read into memory that is larger
_ZIP = ".zip"
# What is wrong with a zip shows itself in many ways.
_UNPACKING = (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error, zlib.error, lzma.LZMAError)
_NUMBERS = re.compile("([0-9]{1,18})")


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine, or of a disk that all machines share; or one file in it.

    Attributes:
        given: as the user names it.
        path: absolute.
        only: the name of the one file; empty for all.
        links: folders that are links: they are not followed, since they may lead anywhere and in circles.
    """

    given: str
    path: str
    only: str = ""
    links: list[str] = field(default_factory=list, compare=False)

    def names(self) -> dict[str, Stamp]:
        """As `FileOrigin` says; files that begin with a dot, and what is no regular file, are left out."""
        if self.only:
            about = Path(self.path, self.only).stat()
            return {self.only: (about.st_size, about.st_mtime_ns)}
        found: dict[str, Stamp] = {}
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(f"{self.path}/{folder}") as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        self._take(entry, f"{folder}{entry.name}", found, folders)
            except OSError as error:
                raise StoreError(f"{self.path}/{folder}: cannot be listed ({error.strerror})") from None
        return found

    def _take(self, entry: "os.DirEntry[str]", name: str, found: dict[str, Stamp], folders: list[str]) -> None:
        if entry.name.startswith("."):
            return
        if entry.is_dir(follow_symlinks=False):
            folders.append(f"{name}/")
            return
        try:
            about = entry.stat()
        except OSError:  # a link to nothing, or to itself
            found[name] = (0, 0)
            return
        if stat.S_ISDIR(about.st_mode):
            self.links.append(name)
        elif stat.S_ISREG(about.st_mode):
            found[name] = (about.st_size, about.st_mtime_ns)

    def read(self, name: str) -> bytes:
        """As `FileOrigin` says."""
        try:
            with Path(self.path, name).open("rb", buffering=0) as file:
                about = os.fstat(file.fileno())
                if not stat.S_ISREG(about.st_mode):
                    raise StoreError("no regular file")
                _check_size(about.st_size)
                return file.readall()
        except (OSError, ValueError) as error:  # the latter of a name that no disk can have
            raise StoreError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


@dataclass(frozen=True)
class RemoteFolder:
    """What lies at a URI such as s3://bucket/zoo; or one file there."""

    given: str
    address: str
    only: str = ""

    def names(self) -> dict[str, Stamp]:
        """As `FileOrigin` says."""
        files = Files(self.address)
        sizes = {self.only: files.size(self.only)} if self.only else files.below()
        return {name: (size, 0) for name, size in sizes.items()}

    def read(self, name: str) -> bytes:
        """As `FileOrigin` says."""
        files = Files(self.address)
        _check_size(files.size(name))
        return files.read(name)


@dataclass(frozen=True)
class Archive:
    """A zip on a disk, whose files are read one by one."""

    given: str
    path: str

    def names(self) -> dict[str, Stamp]:
        """As `FileOrigin` says."""
        seen = [info for info in _open(self.path).infolist() if not info.is_dir() and _is_seen(info.filename)]
        return {info.filename: (info.file_size, info.CRC) for info in seen}

    def read(self, name: str) -> bytes:
        """As `FileOrigin` says; no more is unpacked than the archive says that the file has."""
        archive = _open(self.path)
        try:
            info = archive.getinfo(name)
            _check_size(info.file_size)
            if info.file_size > max(UNSUSPECTED_BYTES, MOST_RATIO * info.compress_size):
                raise StoreError(f"zip bomb: {info.file_size:,} bytes packed as {info.compress_size:,}")
            with archive.open(info) as file:
                data = file.read(info.file_size + 1)
        except (*_UNPACKING, RuntimeError, EOFError, KeyError) as error:
            raise StoreError(f"cannot be unpacked: {error}") from None
        if len(data) != info.file_size:
            raise StoreError(f"cannot be unpacked: the archive says {info.file_size:,} bytes, and there are others")
        return data


def find_origin(given: str, place: str) -> FileOrigin:
    """What lies at a place.

    Args:
        given: as the user names it.
        place: the same for all processes.

    Raises:
        StoreError: there is nothing, or no zip where the name says so.
    """
    place = place.rstrip("/") or "/"
    folder, _, name = place.rpartition("/")
    if "://" in place:
        if Files(place).is_file():
            return RemoteFolder(given, folder, name)
        remote = RemoteFolder(given, place)
        return find_hub_folder(place, remote) or remote
    if not Path(place).exists():
        raise StoreError(f"{given}: there is nothing; name a folder, a file or a zip with checkpoints")
    if Path(place).is_dir():
        if is_cnn_zoo(place):
            return CnnZoo(given, place)
        local = LocalFolder(given, place)
        return find_hub_folder(place, local) or local
    if name.endswith(_ZIP):
        try:
            _open(place)
        except _UNPACKING as error:
            raise StoreError(f"{given}: cannot be opened as a zip: {error}") from None
        return Archive(given, place)
    return LocalFolder(given, folder or "/", name)


def below(origin: FileOrigin) -> Iterator[tuple[str, Stamp]]:
    """Names and stamps of an origin's files, in the order of the names, numbers in them counted as such."""
    yield from sorted(origin.names().items(), key=lambda item: natural(item[0]))


def natural(text: str) -> list[int | str]:
    """A key for sorting by which `run2` comes before `run10`."""
    return [int(part) if at % 2 else part for at, part in enumerate(_NUMBERS.split(text))]


def _open(path: str) -> zipfile.ZipFile:
    """Opened once by every process that reads in it, as long as it is the same."""
    about = Path(path).stat()
    return _opened(path, about.st_ino, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=8)
def _opened(path: str, _inode: int, _size: int, _changed: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _is_seen(name: str) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise StoreError(f"has {binary(size)}, more than {binary(MOST_BYTES)}")
