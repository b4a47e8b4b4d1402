"""Sources: where the checkpoints of an analysis come from. Runs, or plain Parquet files that anybody wrote."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.models import Layout
from zoo_pipeline.store.bag import Bag
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.plain import plain_rows, read_plain
from zoo_pipeline.store.rundir import SPEC, RunDirectory, holds_runs, runs_in
from zoo_pipeline.zoo import Zoo

PARQUET = ".parquet"


@dataclass(frozen=True)
class Source:
    """A run, a folder of Parquet files, or one such file.

    Attributes:
        given: as the user names it.
        place: a run or folder (of the file, where it is one), the same for all processes.
        files: the plain files in the folder: their names, and what keys and messages call them; none where it is a run.
        run: the run's key; None where it is none.
    """

    given: str
    place: str
    files: tuple[tuple[str, str], ...] = ()
    run: str | None = None


def find_source(given: str, place: str) -> Source:
    """Look at what lies at a place.

    Args:
        given: as the user names it.
        place: the same for all processes.

    Raises:
        StoreError: it is neither a run nor Parquet files.
    """
    place = place.rstrip("/") or "/"
    files = Files(place)
    if files.is_file():
        folder, _, name = place.rpartition("/")
        return Source(given, folder or "/", ((name, given),))
    names = files.names()
    if SPEC in names:
        return Source(given, place, run=RunDirectory(place).key)
    plain = tuple(
        (name, f"{given.rstrip('/')}/{name}") for name in names if name.endswith(PARQUET) and not name.startswith(".")
    )
    if not plain:
        if runs := runs_in(files):
            raise StoreError(f"{given}: {holds_runs(given, runs)}")
        found = f"has no {SPEC} and no *{PARQUET}" if names or files.exists("") else "there is nothing"
        raise StoreError(f"{given}: {found}; expected a run, a folder of Parquet files or one of them")
    return Source(given, place, plain)


def check_sources(sources: Sequence[Source], layout: Layout | None, out: str) -> None:
    """Refuse sources whose rows would count twice, a layout that none of them can need, and to write into a run.

    Args:
        sources: what is to be read.
        layout: as of `read_bags`.
        out: where the results are to go.

    Raises:
        ConfigError: the same file or run comes twice, a layout is given for runs, or `out` lies in one.
    """
    seen: dict[str, str] = {}
    for source in sources:
        contents = {os.path.realpath(f"{source.place}/{name}"): name for name, _ in source.files}
        for key, what in contents.items() if source.run is None else [(source.run, f"run {source.run}")]:
            if key in seen:
                raise ConfigError(f"{seen[key]} and {source.given}: {what} is named twice; leave one of them out")
            seen[key] = source.given
        if source.run is not None and f"{out}/".startswith(f"{source.place}/"):
            raise ConfigError(f"--out {out}: lies in the run {source.given}; name another place")
    if layout is not None and all(source.run for source in sources):
        raise ConfigError("--layout: describes plain Parquet files; a run says its own layout")


def layout_file(path: Path) -> Layout:
    """Read a layout, the JSON of docs/format.md, from a file.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    try:
        if path.exists() and not path.is_file():  # to open a named pipe waits for somebody who writes to it
            raise ConfigError(f"--layout {path}: is no file; name a JSON file")
        return Layout.from_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"--layout {path}: cannot be read: {error.strerror}") from None
    except StoreError as error:
        raise ConfigError(f"--layout {path}: {error}") from None


def count_rows(sources: Sequence[Source]) -> int:
    """How many checkpoints there are in all sources, of whatever length.

    Raises:
        StoreError: a source cannot be read.
    """
    rows = 0
    for source in sources:
        if source.run is not None:
            rows += Zoo(source.place).rows
        else:
            rows += sum(plain_rows(Files(source.place), name) for name, _ in source.files)
    return rows


def read_bags(sources: Sequence[Source], layout: Layout | None = None, *, held: bool = True) -> Iterator[Bag]:
    """Read all checkpoints, source by source, in the order of their rows.

    Args:
        sources: what to read.
        layout: of the rows of plain files that have as many weights, and no layout in their metadata.
        held: whether to read the weights of plain files now; else they are read when they are asked for, as a run's.

    Raises:
        StoreError: a source cannot be read.
    """
    for source in sources:
        if source.run is not None:
            bag = Zoo(source.place).bag()
            if len(sources) > 1:  # in which models may have the same names
                place = source.given.rstrip("/")
                bag = replace(bag, names={run: _below(place, names) for run, names in bag.names.items()})
            yield bag
            continue
        files = Files(source.place)
        for name, shown in source.files:
            yield from read_plain(files, name, shown, layout, held=held)


def _below(place: str, names: Mapping[int, str]) -> dict[int, str]:
    return {model_id: f"{place}/{name}" for model_id, name in names.items()}
