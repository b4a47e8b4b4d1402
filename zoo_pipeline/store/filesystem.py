"""Files of a run, on a local disk or any fsspec filesystem: whole or absent, never half-written.

A file is built in memory and published under its final name in one step that fails if the name is taken
(create-exclusive), so that of two attempts at the same group one wins and nothing is ever overwritten.
"""

import os
import uuid
from pathlib import Path
from typing import Any

import fsspec

from zoo_pipeline.errors import StoreError


class Files:
    """The files below one root: a local path or an fsspec URI such as s3://bucket/run."""

    def __init__(self, root: str) -> None:
        try:
            self.filesystem, path = fsspec.core.url_to_fs(root)
        except (ValueError, ImportError) as error:
            raise StoreError(
                f"{root}: cannot be opened: {error}; use a local path or install its fsspec driver"
            ) from None
        self.root = root
        self.path = str(path).rstrip("/")
        self.local = "file" in _protocols(self.filesystem)

    def at(self, name: str) -> str:
        """The full path of a file below the root."""
        return f"{self.path}/{name}"

    def exists(self, name: str) -> bool:
        """Whether a file has been published."""
        return bool(self.filesystem.exists(self.at(name)))

    def names(self, folder: str = "") -> list[str]:
        """Names of the files and folders in a folder, without those that start with a dot; empty if it is absent."""
        try:
            paths = self.filesystem.ls(self.at(folder) if folder else self.path, detail=False)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self.root}: cannot be listed: {reason(error)}; check the path") from None
        names = (str(path).rstrip("/").rsplit("/", 1)[-1] for path in paths)
        return sorted(name for name in names if not name.startswith("."))

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            StoreError: it is absent or cannot be read.
        """
        try:
            return bytes(self.filesystem.cat_file(self.at(name)))
        except FileNotFoundError:
            raise StoreError(f"{self.root}: has no {name}; is this a run directory?") from None
        except OSError as error:
            raise StoreError(f"{self.at(name)}: cannot be read: {reason(error)}") from None

    def publish(self, name: str, data: bytes) -> bool:
        """Create a file whole. True: this call made it; False: the name was taken, and its content stays.

        Raises:
            StoreError: the disk is full, the place not writable, …; nothing is left under the final name.
        """
        try:
            return self._link(name, data) if self.local else self._create(name, data)
        except OSError as error:
            raise StoreError(f"{self.at(name)}: cannot be written: {reason(error)}; nothing was left there") from None

    def replace(self, name: str, data: bytes) -> None:
        """Write a file whole, in place of an older one: for what can be made again at any time.

        Raises:
            StoreError: as `publish`; the older file stays.
        """
        try:
            if self.local:
                temporary = self._temporary(name, data)
                try:
                    temporary.replace(self.at(name))
                finally:
                    temporary.unlink(missing_ok=True)
            else:
                self.filesystem.pipe_file(self.at(name), data)
        except OSError as error:
            raise StoreError(f"{self.at(name)}: cannot be written: {reason(error)}; the older file stays") from None

    def remove(self, name: str) -> None:
        """Remove a file or folder."""
        try:
            self.filesystem.rm(self.at(name), recursive=True)
        except OSError as error:
            raise StoreError(f"{self.at(name)}: cannot be removed: {reason(error)}") from None

    def _link(self, name: str, data: bytes) -> bool:
        temporary = self._temporary(name, data)
        target = Path(self.at(name))
        try:
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name itself must survive a power cut, too
        finally:
            os.close(folder)
        return True

    def _temporary(self, name: str, data: bytes) -> Path:
        """Write and sync a file that readers skip (a dot leads its name), beside the place it is meant for."""
        target = Path(self.at(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("xb") as file:
                file.write(data)
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
        return True


def reason(error: OSError) -> str:
    """What went wrong, in the system's words."""
    return error.strerror or str(error)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
