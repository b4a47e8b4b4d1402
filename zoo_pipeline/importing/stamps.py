"""Names and stamps of files: what a table can hold of the one, and what shows a change without reading."""

from typing import TypeAlias

Stamp: TypeAlias = tuple[int, int]  # bytes; and when it was changed in ns, or a checksum, or 0 where neither is known


def printable(name: str) -> str:
    """A name as a table can hold it, whatever bytes a disk has in it."""
    return name.encode(errors="backslashreplace").decode()
