"""Regular files of the local disk: the only ones that a run is read from."""

import errno
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem


class RegularFiles(LocalFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The local disk, without what waits or never ends when it is read: pipes, sockets, devices, and links to them."""

    def _open(self, path: str, mode: str = "rb", *arguments: Any, **options: Any) -> Any:
        place = Path(path)
        if "r" in mode and place.exists() and not (place.is_file() or place.is_dir()):
            raise OSError(errno.EINVAL, "is no regular file", path)
        return super()._open(path, mode, *arguments, **options)
