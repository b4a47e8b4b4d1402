"""`zoo import` from Python: checkpoints of anybody's become a run."""

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo_pipeline.config import Resources
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.places import absolute

if TYPE_CHECKING:
    from zoo_pipeline.importing.file_origin import FileOrigin
    from zoo_pipeline.runtime.importing import ImportReport


@dataclass(frozen=True)
class ImportOptions:
    """What `zoo import` is asked to do; the command line's options of the same names."""

    sources: tuple[str, ...]
    out: str
    pattern: str | None = None
    git: str | None = None
    path: str | None = None
    strict: bool = False
    resume: bool = False
    overwrite: bool = False
    executor: str = "ray"
    ray_address: str | None = None


def import_checkpoints(options: ImportOptions) -> "ImportReport":
    """Make a run of checkpoint files, or one for each layout where they have several.

    Raises:
        ZooError: there is nothing to import, or the place is taken; nothing is written then.
    """
    from zoo_pipeline.importing.history import History
    from zoo_pipeline.importing.names import Pattern
    from zoo_pipeline.runtime.importing import import_files
    from zoo_pipeline.runtime.opening import open_executor

    if options.resume and options.overwrite:
        raise ConfigError("--resume --overwrite: the one goes on with an import, the other removes it; use one of them")
    pattern = Pattern(options.pattern) if options.pattern is not None else None
    origins = _origins(options)
    out = absolute(options.out)
    for origin in origins:
        path = "" if isinstance(origin, History) else getattr(origin, "path", "")
        inside = path and f"{os.path.realpath(out)}/".startswith(f"{os.path.realpath(path)}/")
        if inside and "://" not in out and not getattr(origin, "only", ""):
            raise ConfigError(f"--out {options.out}: lies in {origin.given}, which is imported; name another place")
    with open_executor(options.executor, Resources(), options.ray_address) as executor:
        return import_files(
            executor,
            origins,
            out,
            pattern,
            strict=options.strict,
            resume=options.resume,
            overwrite=options.overwrite,
        )


def _origins(options: ImportOptions) -> "list[FileOrigin]":
    from zoo_pipeline.importing.history import History
    from zoo_pipeline.importing.origins import find_origin

    if (options.git is None) != (options.path is None):
        raise ConfigError("--git REPO --path PATTERN: belong together; say both")
    if any(not source.strip() for source in options.sources):
        raise ConfigError("SOURCE: got an empty text, expected a folder, file or zip with checkpoints")
    origins: list[FileOrigin] = [find_origin(given, absolute(given)) for given in _named(options.sources)]
    if options.git is not None and options.path is not None:
        origins.append(History(options.git, absolute(options.git), options.path))
    if not origins:
        raise ConfigError("no SOURCE is named: expected folders, files or zips with checkpoints, or --git and --path")
    return origins


def _named(sources: Sequence[str]) -> list[str]:
    """The sources, with the patterns among them replaced by what they match here."""
    found: list[str] = []
    for source in sources:
        if "://" in source or Path(source).exists() or not glob.has_magic(source):
            found.append(source)
            continue
        matching = sorted(glob.glob(source, recursive=True))  # noqa: PTH207  (whose patterns begin anywhere)
        if not matching:
            raise ConfigError(f"{source}: matches nothing")
        found += matching
    return list(dict.fromkeys(found))
