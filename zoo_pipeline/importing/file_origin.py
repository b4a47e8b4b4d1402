"""What an origin is: files by name, wherever they lie."""

from typing import Protocol

from zoo_pipeline.importing.stamps import Stamp


class FileOrigin(Protocol):
    """Files by name; can be pickled, and read by any process that sees the place.

    Attributes:
        given: as the user names it.
    """

    @property
    def given(self) -> str: ...  # noqa: D102

    def names(self) -> dict[str, Stamp]:
        """The stamps of all files, by their names below the origin."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            StoreError: it cannot be read, in one line without the file's name.
        """
        ...
