"""Where a disturbed run lies: on this machine's disk, or in a bucket of a server on this machine."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.counted import forget
from benchmarks.chaos.left import Left, left_of
from benchmarks.chaos.servers import s3_server
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.options import StorageOptions, use_storage_options

BUCKET = "kills"


@dataclass(frozen=True)
class Place:
    """One run's place.

    Attributes:
        root: as the command is told it.
        options: words of `--storage-option` that the command needs besides.
        told: a file on this machine for what the command says.
    """

    root: str
    options: tuple[str, ...]
    told: Path

    def left(self) -> Left:
        """All that is there, read."""
        if not self.options:
            return left_of(Path(self.root))
        with tempfile.TemporaryDirectory() as folder:
            files = Files(self.root)
            files.filesystem.get(f"{files.path}/", f"{folder}/run/", recursive=True)
            return left_of(Path(folder) / "run")

    def clear(self) -> None:
        """Remove all of it."""
        forget(self.root)
        if not self.options:
            shutil.rmtree(self.root, ignore_errors=True)
        elif Files(self.root).names():
            Files(self.root).remove("")


@contextmanager
def places(server: str | None, folder: Path) -> Iterator[Callable[[str], Place]]:
    """A function that gives the place of a name: in a new server's bucket, or in the folder where there is none."""
    if server is None:
        yield lambda name: Place(str(folder / name), (), folder / f"{name}.told")
        return
    with s3_server(server) as endpoint:
        options = ("key=AKIACHAOSCHAOS", "secret=nobody-checks-it", f"endpoint_url={endpoint}")
        use_storage_options(StorageOptions.parse(options))
        Files(f"s3://{BUCKET}").filesystem.mkdir(BUCKET)
        try:
            yield lambda name: Place(f"s3://{BUCKET}/{folder.name}-{name}", options, folder / f"{name}.told")
        finally:
            use_storage_options(StorageOptions({}))
