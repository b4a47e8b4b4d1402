"""Where an export goes, in which format, and what must not lie there."""

import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.store.filesystem import Files

Format = Literal["state-dict", "safetensors", "hub", "model-zoos"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, Format] = {".pt": "state-dict", ".safetensors": "safetensors"}
SUFFIX_OF = {name: suffix for suffix, name in SUFFIXES.items()}
FOREIGN_SUFFIXES = (".pth", ".bin", ".ckpt", ".parquet", ".zip", ".tar")  # who writes them means a file
MARKER = "export.json"  # in a folder: which export it is, and whether it is whole
_OURS = re.compile(rf"{re.escape(MARKER)}|README\.md|config\.json|data|model-\d{{5,}}|NN_tune_trainable_\S+")


@dataclass(frozen=True)
class Target:
    """One file, or a folder of files.

    Attributes:
        root: the folder; of one file the folder that it lies in.
        file: the file's name; None for a folder.
        format: what is written there.
    """

    root: str
    file: str | None
    format: Format

    @property
    def place(self) -> str:
        """The file or the folder."""
        return self.root if self.file is None else f"{self.root}/{self.file}"


def find_target(to: str, wanted: str | None, run: str) -> Target:
    """Where to write, and how.

    Args:
        to: the absolute path or URI of a file or folder.
        wanted: a format; None where the suffix says it.
        run: the absolute path or URI of the run.

    Raises:
        ConfigError: an unknown format, one that the suffix is not of, none at all, or a place within the run.
    """
    if wanted is not None and wanted not in FORMATS:
        raise ConfigError(f"--format {wanted}: expected one of {', '.join(FORMATS)}")
    place = to.rstrip("/")
    if f"{place}/".startswith(f"{run.rstrip('/')}/"):
        raise ConfigError(f"--to {to}: lies in the run itself, which holds nothing else; name a place outside of it")
    suffix = PurePosixPath(place).suffix
    named = SUFFIXES.get(suffix)
    if named is None and suffix in FOREIGN_SUFFIXES:
        raise ConfigError(f"--to {to}: no format has the suffix {suffix}; expected .pt, .safetensors, or a folder")
    if named is not None and wanted not in (None, named):
        expected = f"a file {SUFFIX_OF[wanted]} or a folder" if wanted in SUFFIX_OF else "a folder"
        raise ConfigError(f"--to {to} --format {wanted}: the suffix is that of {named}; {wanted} goes into {expected}")
    if named is not None:
        folder, _, name = place.rpartition("/")
        return Target(folder, name, named)
    if wanted is None:
        raise ConfigError(f"--to {to}: a folder says nothing of the format; add --format {'|'.join(FORMATS)}")
    return Target(place, None, next(name for name in FORMATS if name == wanted))


def check_target(target: Target, *, overwrite: bool) -> None:
    """Refuse a place where something lies that is not to be replaced; change nothing.

    Raises:
        StoreError: a file that is there and no `overwrite`; a folder with anything but an earlier export.
    """
    files = Files(target.root)
    if target.file is None and files.is_file():
        raise StoreError(f"{target.root}: is a file, expected a new or empty folder; name another")
    present = files.names()
    if target.file is not None:
        if target.file in present and Files(target.place).is_file() is False:
            raise StoreError(f"{target.place}: is a folder, expected a file; name another")
        if target.file in present and not overwrite:
            raise StoreError(f"{target.place}: is there already; name another, or replace it by --overwrite")
    elif present:
        foreign = [name for name in present if not _OURS.fullmatch(name)]
        if foreign or MARKER not in present:
            raise StoreError(
                f"{target.root}: not empty and not an export (holds {', '.join((foreign or present)[:3])}); "
                f"name a new or empty folder"
            )
        if not overwrite:
            raise StoreError(f"{target.root}: already holds an export; name another, or replace it by --overwrite")
    files.check_writable()


def claim(files: Files, about: dict[str, Any], *, overwrite: bool) -> None:
    """Empty a checked folder of the export that is in it, and say which one is being made.

    Raises:
        StoreError: it cannot be written, or another export began there at the same time.
    """
    if overwrite:
        for name in sorted(files.names(), key=lambda name: name == MARKER):  # what shows that it may go goes last
            files.remove(name)
    if not files.publish(MARKER, _marker(about, complete=False)):
        raise StoreError(f"{files.root}: another export began there at the same time; name another folder")


def finish(files: Files, about: dict[str, Any]) -> None:
    """Say that an export is whole."""
    files.replace(MARKER, _marker(about, complete=True))


def _marker(about: dict[str, Any], *, complete: bool) -> bytes:
    return (json.dumps({**about, "complete": complete}, indent=1) + "\n").encode()
