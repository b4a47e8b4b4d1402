"""Regular files: the only ones that data are read from."""

from pathlib import Path

from zoo_pipeline.errors import DataError


def check_regular(path: Path) -> None:
    """Refuse what lies under a file's name and is none: to open a named pipe waits for somebody who writes to it.

    Raises:
        DataError: a folder, pipe, socket or device, or a link to one.
        OSError: it cannot be looked at, such as a link to itself.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is no file, but a folder, pipe, socket or device; remove it, or name a file")
