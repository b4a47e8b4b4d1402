"""Files of a run, on a local disk or any fsspec filesystem: whole or absent, never half-written.

A file is built in memory and published under its final name in one step that fails if the name is taken
(create-exclusive), so that of two attempts at the same group one wins and nothing is ever overwritten. What a remote
store fails at for the moment is tried again for some minutes (`zoo_pipeline.store.faults` lists it); a disk's faults
are told at once.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from fsspec.implementations.local import LocalFileSystem

from zoo_pipeline.errors import StoreError, UnreachableError
from zoo_pipeline.store import disk, patience
from zoo_pipeline.store.disk import Buffer
from zoo_pipeline.store.faults import advice, is_absent, is_transient, is_unseen, reason
from zoo_pipeline.store.regular import RegularFiles
from zoo_pipeline.store.remote import create, kind_of, open_remote, remove_all, replace
from zoo_pipeline.store.seal import hashed

T = TypeVar("T")
_CHANGES = ("written", "removed")


class Files:
    """The files below one root: a local path or an fsspec URI such as s3://bucket/run."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.filesystem: Any = RegularFiles()
        self.path = root.rstrip("/")
        if "://" in root:
            self.filesystem, self.path = open_remote(root)
        self.local = isinstance(self.filesystem, LocalFileSystem)

    def at(self, name: str) -> str:
        """The full path of a file below the root."""
        return f"{self.path}/{name}"

    def exists(self, name: str) -> bool:
        """Whether a file has been published."""
        return self._do(name, "looked up", lambda: bool(self.filesystem.exists(self.at(name))))

    def is_file(self) -> bool:
        """Whether the root itself is a file."""
        return self._do("", "looked up", lambda: kind_of(self.filesystem, self.path)) == "file"

    def check_writable(self) -> None:
        """Refuse a place that this process may not write to, as far as it can be told beforehand.

        Raises:
            StoreError: a local folder, or the folder that it would be made in, is read-only.
        """
        if self.local and (place := disk.obstacle(Path(self.path))) is not None:
            raise StoreError(f"{self.root}: cannot be written to ({place} is read-only or no folder)")

    def check_folder(self, name: str) -> None:
        """Refuse a folder of the root that is a link to another one, which nothing is written into or removed from.

        Raises:
            StoreError: it is one.
        """
        if self.local:
            self._do(name, "changed", lambda: disk.check_folders(self.path, f"{name}/"))

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._do(name, "looked up", lambda: int(self.filesystem.size(self.at(name))))

    def names(self, folder: str = "") -> list[str]:
        """Names of the files and folders in a folder, without our temporary files; empty if it is absent."""
        place = self.at(folder) if folder else self.path or "/"
        listed = [str(path) for path in self._listed(place, folder, detail=False)]
        # Consoles of object stores make folders as empty objects of the folder's own name and a slash.
        paths = [path for path in listed if path.lstrip("/") != f"{place.strip('/')}/"]
        names = (path.rstrip("/").rsplit("/", 1)[-1] for path in paths)
        return sorted(name for name in names if not (name.startswith(".") and name.endswith(".tmp")))

    def folders(self) -> list[str]:
        """Names of the folders in the root, and of links; empty if there are none."""
        listed = self._listed(self.path or "/", "", detail=True)
        found = (str(entry["name"]) for entry in listed if entry["type"] != "file" or entry.get("islink"))
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def below(self) -> dict[str, int]:
        """Bytes of all files below the root, in its folders, too, by their names; empty if there are none."""
        sizes: dict[str, int] = {}
        folders, seen = [self.path], {self.path}
        while folders:  # not by fsspec's own `find`, which leaves out the folders that it cannot list
            for entry in self._listed(folders.pop(), "", detail=True):
                path = str(entry["name"])
                if entry["type"] == "directory":
                    if (inner := path.rstrip("/")) not in seen:
                        seen.add(inner)
                        folders.append(inner)
                elif not path.endswith("/"):
                    sizes[path.removeprefix(f"{self.path}/")] = int(entry["size"])
        return sizes

    def _listed(self, place: str, folder: str, *, detail: bool) -> list[Any]:
        """What lies directly in a place, which messages call by the folder's name; empty if it is absent."""

        def listed() -> list[Any]:
            try:
                return list(self.filesystem.ls(place, detail=detail))
            except FileNotFoundError as error:
                if not is_absent(error):
                    raise
                return []

        return self._do(folder, "listed", listed)

    def sweep(self, folder: str) -> None:
        """Remove what writers that were killed left in a folder: files that never got their final name.

        Only where every name that anybody may still publish there is taken: whoever is about to loses its temporary
        file by this, finds the name taken, and takes that for the lost race that it is.

        Raises:
            OSError: the folder is a link, or cannot be swept.
        """
        if self.local:
            disk.check_folders(self.path, f"{folder}/")
            for left in Path(self.at(folder)).glob(".*.tmp"):
                left.unlink(missing_ok=True)

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            StoreError: it is absent or cannot be read.
        """
        return self._do(name, "read", lambda: bytes(self.filesystem.cat_file(self.at(name))))

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        """A file to be read in parts.

        Raises:
            FileNotFoundError: it is absent.
            OSError: a local one cannot be read.
            UnreachableError: a remote one cannot; also from the file's methods.
        """
        if self.local:
            with self.filesystem.open(self.at(name), "rb") as file:
                yield file
            return
        with self._do(name, "read", lambda: self.filesystem.open(self.at(name), "rb"), absent=False) as file:
            if (cache := getattr(file, "cache", None)) is not None:  # what asks the store for parts of the file
                fetch = cache.fetcher
                cache.fetcher = lambda start, end: self._do(name, "read", partial(fetch, start, end))
            yield file

    def sha256(self, name: str) -> str:
        """Hash (hex) of a file's bytes, never all of them in memory."""
        return self.hashed(name)[0]

    def hashed(self, name: str) -> tuple[str, bool]:
        """Hash (hex) of a file's bytes, and whether its seal, if it is a Parquet file with one, is of these bytes."""
        with self._told(name, "read"), self.open(name) as file:
            return hashed(file)

    def publish(self, name: str, *parts: Buffer) -> bool:
        """Create a file whole. True: this call made it; False: the name was taken, and its content stays.

        In a remote store a file of the same content counts as made by this call, whose answer may have got lost.

        Args:
            name: of the file.
            parts: its content, one part behind the other; on a local disk they are never joined in memory.

        Raises:
            StoreError: the disk is full, the place not writable, …; nothing half-written is left under the name.
        """
        if self.local:
            return self._do(name, "written", lambda: disk.create(Path(self.at(name)), parts))
        data = b"".join(parts)
        return self._do(name, "written", lambda: create(self.filesystem, self.at(name), data))

    def publish_stream(self, name: str, parts: Iterable[Buffer]) -> bool:
        """As `publish`, of parts that are made one by one: on a local disk no two of them need be in memory.

        Raises:
            StoreError: as `publish`, or what makes the parts raises it.
        """
        if not self.local:  # a put is tried again whole, so it needs all of them
            return self.publish(name, *parts)
        return self._do(name, "written", lambda: disk.create(Path(self.at(name)), parts))

    def replace(self, name: str, data: bytes) -> None:
        """Write a file whole, in place of an older one: for what can be made again at any time.

        Raises:
            StoreError: as `publish`; the older file stays.
        """
        if self.local:
            self._do(name, "written", lambda: disk.replace(Path(self.at(name)), data))
        else:
            self._do(name, "written", lambda: replace(self.filesystem, self.at(name), data))

    def remove(self, name: str) -> None:
        """Remove a file or folder.

        Raises:
            StoreError: it cannot be removed, or is a link to a folder.
        """
        if self.local and Path(self.at(name)).is_dir():
            self.check_folder(name)
        tried: list[bool] = []

        def attempt() -> None:
            try:
                remove_all(self.filesystem, self.at(name))
            except FileNotFoundError:
                if not tried:  # else an attempt whose answer got lost has done it
                    raise
            finally:
                tried.append(True)

        self._do(name, "removed", attempt)

    def discard(self, name: str) -> None:
        """Remove a file that somebody else may have removed already.

        Raises:
            StoreError: it is there and cannot be removed.
        """

        def attempt() -> None:
            with suppress(FileNotFoundError):
                self.filesystem.rm_file(self.at(name))

        self._do(name, "removed", attempt)

    def _do(self, name: str, done: str, call: Callable[[], T], *, absent: bool = True) -> T:
        """Do something with a file, patiently where it is remote; `absent`: say in our words that it is missing."""
        try:
            with self._told(name, done):
                if self.local and done in _CHANGES:
                    disk.check_folders(self.path, name)
                return call() if self.local else patience.patiently(call, self.at(name))
        except StoreError as error:
            if not absent and isinstance(error.__context__, FileNotFoundError) and is_absent(error.__context__):
                raise error.__context__ from None
            raise

    @contextmanager
    def _told(self, name: str, done: str) -> Iterator[None]:
        """Turn whatever goes wrong with a file into one line that names it."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:  # drivers of remote stores pass on whatever their libraries raise
            if is_absent(error) and done in ("read", "looked up"):
                raise StoreError(f"{self.root}: has no {name}; is this a run directory?") from None
            what = f"{self.at(name)}: cannot be {done}: {reason(error)}"
            if self.local or is_absent(error):
                raise (UnreachableError if done not in _CHANGES and is_unseen(error) else StoreError)(what) from error
            if is_transient(error):
                todo = f"tried again for {patience.PATIENCE_S:.0f} s; when the store answers, go on by --resume"
            else:
                todo = advice(error)
            raise UnreachableError("; ".join(filter(None, (what, todo)))) from error
