"""Files of a run, on a local disk or any fsspec filesystem: whole or absent, never half-written.

A file is built in memory and published under its final name in one step that fails if the name is taken
(create-exclusive), so that of two attempts at the same group one wins and nothing is ever overwritten.
"""

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.regular import RegularFiles

Buffer = bytes | memoryview
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_HASHED_AT_ONCE = 1 << 20


class Files:
    """The files below one root: a local path or an fsspec URI such as s3://bucket/run."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.filesystem, self.path, self.local = _open(root)

    def at(self, name: str) -> str:
        """The full path of a file below the root."""
        return f"{self.path}/{name}"

    def exists(self, name: str) -> bool:
        """Whether a file has been published."""
        with self._told(name, "looked up"):
            return bool(self.filesystem.exists(self.at(name)))

    def is_file(self) -> bool:
        """Whether the root itself is a file."""
        with self._told("", "looked up"):
            return bool(self.filesystem.isfile(self.path))

    def check_writable(self) -> None:
        """Refuse a place that this process may not write to, as far as it can be told beforehand.

        Raises:
            StoreError: a local folder, or the folder that it would be made in, is read-only.
        """
        if self.local:
            place = Path(self.path).absolute()
            while not place.exists() and place != place.parent:
                place = place.parent
            if not (place.is_dir() and os.access(place, os.W_OK)):
                raise StoreError(f"{self.root}: cannot be written to ({place} is read-only or no folder)")

    def size(self, name: str) -> int:
        """Bytes of a file."""
        with self._told(name, "looked up"):
            return int(self.filesystem.size(self.at(name)))

    def names(self, folder: str = "") -> list[str]:
        """Names of the files and folders in a folder, without our temporary files; empty if it is absent."""
        with self._told(folder, "listed"):
            try:
                paths = self.filesystem.ls(self.at(folder) if folder else self.path or "/", detail=False)
            except FileNotFoundError:
                return []
        names = (str(path).rstrip("/").rsplit("/", 1)[-1] for path in paths)
        return sorted(name for name in names if not (name.startswith(".") and name.endswith(".tmp")))

    def sweep(self, folder: str) -> None:
        """Remove what writers that were killed left in a folder: files that never got their final name.

        Only where every name that anybody may still publish there is taken: whoever is about to loses its temporary
        file by this, finds the name taken, and takes that for the lost race that it is.
        """
        if self.local:
            for left in Path(self.at(folder)).glob(".*.tmp"):
                left.unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            StoreError: it is absent or cannot be read.
        """
        with self._told(name, "read"):
            return bytes(self.filesystem.cat_file(self.at(name)))

    def sha256(self, name: str) -> str:
        """Hash (hex) of a file's bytes, never all of them in memory."""
        sha = hashlib.sha256()
        with self._told(name, "read"), self.filesystem.open(self.at(name), "rb") as file:
            while part := file.read(_HASHED_AT_ONCE):
                sha.update(part)
        return sha.hexdigest()

    def publish(self, name: str, *parts: Buffer) -> bool:
        """Create a file whole. True: this call made it; False: the name was taken, and its content stays.

        Args:
            name: of the file.
            parts: its content, one part behind the other; on a local disk they are never joined in memory.

        Raises:
            StoreError: the disk is full, the place not writable, …; nothing half-written is left under the name.
        """
        with self._told(name, "written"):
            return self._link(name, parts) if self.local else self._create(name, b"".join(parts))

    def replace(self, name: str, data: bytes) -> None:
        """Write a file whole, in place of an older one: for what can be made again at any time.

        Raises:
            StoreError: as `publish`; the older file stays.
        """
        with self._told(name, "written"):
            if not self.local:
                self.filesystem.pipe_file(self.at(name), data)
                return
            temporary = self._temporary(name, [data])
            try:
                temporary.replace(self.at(name))
            finally:
                temporary.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a file or folder.

        Raises:
            StoreError: it cannot be removed.
        """
        with self._told(name, "removed"):
            self.filesystem.rm(self.at(name), recursive=True)

    def discard(self, name: str) -> None:
        """Remove a file that somebody else may have removed already.

        Raises:
            StoreError: it is there and cannot be removed.
        """
        with self._told(name, "removed"), suppress(FileNotFoundError):
            self.filesystem.rm_file(self.at(name))

    @contextmanager
    def _told(self, name: str, done: str) -> Iterator[None]:
        """Turn whatever goes wrong with a file into one line that names it."""
        try:
            yield
        except Exception as error:  # drivers of remote stores pass on whatever their libraries raise
            if isinstance(error, FileNotFoundError) and done in ("read", "looked up"):
                raise StoreError(f"{self.root}: has no {name}; is this a run directory?") from None
            raise StoreError(f"{self.at(name)}: cannot be {done}: {reason(error)}") from error

    def _link(self, name: str, parts: Sequence[Buffer]) -> bool:
        temporary = self._temporary(name, parts)
        target = Path(self.at(name))
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        except FileNotFoundError:
            if target.exists():  # the temporary file was swept away, because this name was taken
                return False
            raise
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            if target.exists():
                return False
            temporary.replace(target)  # whole, but of two attempts at the same moment the later stays
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(target.parent)
        return True

    def _temporary(self, name: str, parts: Sequence[Buffer]) -> Path:
        """Write and sync a file that readers skip (a dot leads its name), beside the place it is meant for."""
        target = Path(self.at(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    def _create(self, name: str, data: bytes) -> bool:
        try:
            self.filesystem.pipe_file(self.at(name), data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            # Some S3 servers answer a lost race without the detail by which s3fs tells FileExistsError.
            response = getattr(error.__cause__, "response", None) or {}
            if response.get("Error", {}).get("Code") in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                return False
            raise
        return True


def reason(error: Exception) -> str:
    """What went wrong, in the system's words, on one line."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())


def _open(root: str) -> tuple[Any, str, bool]:
    """The filesystem of a root, the path in it, and whether it is this machine's."""
    if "://" not in root:
        return RegularFiles(), root.rstrip("/"), True
    if "::" in root or any(sign in root for sign in "*?["):
        raise StoreError(f"{root}: chained addresses (::) and patterns (*, ?, [) are not places to write to")
    try:
        filesystem, path = fsspec.core.url_to_fs(root)
    except Exception as error:  # whatever a driver's constructor raises
        raise StoreError(
            f"{root}: cannot be opened: {reason(error)}; check it, or install its fsspec driver"
        ) from error
    return filesystem, str(path).rstrip("/"), isinstance(filesystem, LocalFileSystem)


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut, too, where the filesystem can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
