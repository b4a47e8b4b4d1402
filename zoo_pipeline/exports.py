"""What `zoo export` does, callable from Python."""

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from zoo_pipeline.config import Resources
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.places import absolute

if TYPE_CHECKING:
    from zoo_pipeline.runtime.exporting import ExportReport

_LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")


@dataclass(frozen=True)
class ExportOptions:
    """What is asked for; the command line's options of the same names."""

    run: str
    to: str
    format: str | None = None
    models: str | None = None
    epochs: str | None = None
    overwrite: bool = False
    license: str | None = None
    executor: str = "ray"
    ray_address: str | None = None


def export_run(options: ExportOptions) -> "ExportReport":
    """Write checkpoints of a run in a format that other people's code reads.

    Raises:
        ZooError: a user's mistake, a run that cannot be read, or a place that cannot be written.
    """
    from zoo_pipeline.exporting.copies import row_digests, told_apart
    from zoo_pipeline.exporting.selection import select
    from zoo_pipeline.exporting.target import check_target, find_target
    from zoo_pipeline.runtime.exporting import checked_models, contents_of, export
    from zoo_pipeline.runtime.opening import open_executor
    from zoo_pipeline.zoo import Zoo

    root = absolute(options.run)
    target = find_target(absolute(options.to), options.format, root)
    if options.license is not None and target.format != "hub":
        raise ConfigError(
            f"--license {options.license}: stands in a dataset card, which only --format hub has; leave it"
        )
    if options.license is not None and not _LICENSE.fullmatch(options.license):
        raise ConfigError(f"--license {options.license}: expected an SPDX identifier such as cc-by-4.0 or apache-2.0")
    zoo = Zoo(root)
    parts = select(contents_of(zoo), options.models, options.epochs, by_epoch=target.format == "model-zoos")
    chosen = sum(len(part.rows) for part in parts)
    if target.format != "hub":  # which names no files by models and moments
        by_epoch = target.format == "model-zoos" or target.file is not None
        parts = told_apart(parts, partial(row_digests, zoo.files), by_epoch=by_epoch)
    count = sum(len(part.rows) for part in parts)
    if target.file is not None and count > 1:
        raise ConfigError(
            f"--to {options.to}: a file holds one checkpoint, got {count:,}; choose one by --models and --epochs, "
            f"or name a folder and --format {target.format}"
        )
    models = checked_models(zoo.models, root) if target.format in ("hub", "model-zoos") else None
    check_target(target, overwrite=options.overwrite)
    license = options.license.lower() if options.license else None  # as the hub has SPDX identifiers
    name = options.executor if target.file is None else "inline"  # a Ray is not started for one file
    with open_executor(name, Resources(), options.ray_address) as executor:
        done = export(zoo, parts, target, executor, models=models, overwrite=options.overwrite, license=license)
    return replace(done, copies=chosen - count)
