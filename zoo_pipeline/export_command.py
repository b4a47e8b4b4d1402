"""`zoo export`, the command."""

from typing import Annotated

import typer

from zoo_pipeline.arguments import ExecutorName, Overwrite, RayAddress, Run, Storage
from zoo_pipeline.counts import binary, plural
from zoo_pipeline.exports import ExportOptions, export_run
from zoo_pipeline.messages import console
from zoo_pipeline.store.options import StorageOptions, use_storage_options

To = Annotated[str, typer.Option("--to", metavar="PLACE", help="FILE.pt, FILE.safetensors, or a new or empty folder")]
Format = Annotated[
    str | None, typer.Option("--format", help="state-dict, safetensors, hub or model-zoos; a file's suffix says it")
]
Models = Annotated[str | None, typer.Option("--models", metavar="IDS", help="such as 0,1,5-9; all without it")]
Epochs = Annotated[str | None, typer.Option("--epochs", metavar="EPOCHS", help="such as 0,25, or last; all without it")]
License = Annotated[
    str | None, typer.Option("--license", metavar="SPDX", help="for the card of --format hub, such as cc-by-4.0")
]


def export(
    run: Run,
    to: To,
    format: Format = None,
    models: Models = None,
    epochs: Epochs = None,
    overwrite: Overwrite = False,
    license: License = None,
    executor: ExecutorName = "ray",
    ray_address: RayAddress = None,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Write checkpoints as state dicts, safetensors, a dataset of the hub or a raw Model Zoo."""
    use_storage_options(StorageOptions.parse(storage))
    done = export_run(ExportOptions(run, to, format, models, epochs, overwrite, license, executor, ray_address))
    console.print(
        f"exported {plural(done.checkpoints, 'checkpoint')} of {plural(done.models, 'model')}: "
        f"{plural(done.files, 'file')}, {binary(done.written_bytes)}, {done.target.format}, {done.wall_s:.1f} s"
        + (f"; {done.copies:,} left out as exact copies of others" if done.copies else ""),
        soft_wrap=True,
    )
    console.print(f"export: {done.target.place}", soft_wrap=True)
