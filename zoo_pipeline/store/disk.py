"""A file on a local disk, whole or absent: written and synced under a name that readers skip, then named."""

import errno
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

Buffer = bytes | memoryview
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def check_folders(root: str, name: str) -> None:
    """Refuse to write or remove through a link to a folder: what it leads to is not the run's. The root may be one.

    Raises:
        OSError: a folder between the root and the file, or the folder itself where the name ends in a slash, is one.
    """
    place = root
    for part in name.split("/")[:-1]:
        place = f"{place}/{part}"
        if os.path.islink(place):  # noqa: PTH114  (a microsecond; pathlib takes several)
            raise OSError(errno.ELOOP, f"{place} is a link to another folder; put the folder itself there")


def create(target: Path, parts: Iterable[Buffer]) -> bool:
    """Write a file that is not there yet. False: the name was taken, and its content stays.

    Raises:
        OSError: the disk is full, or the like; nothing is left then.
    """
    temporary = _temporary(target, parts)
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


def replace(target: Path, data: Buffer) -> None:
    """Write a file, in place of an older one.

    Raises:
        OSError: as `create`; the older file stays.
    """
    temporary = _temporary(target, [data])
    try:
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def obstacle(path: Path) -> Path | None:
    """The folder that keeps this process from writing to a place; None where nothing does, as far as can be told."""
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return None if place.is_dir() and os.access(place, os.W_OK) else place


def _temporary(target: Path, parts: Iterable[Buffer]) -> Path:
    """Write and sync a file that readers skip (a dot leads its name), beside the place it is meant for."""
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
