"""The arguments and options of the `zoo` command."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="name of a recipe, or a YAML file")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="run directory: a local path or an fsspec URI")]
Inputs = Annotated[
    list[str], typer.Argument(metavar="INPUT…", help="runs, folders of Parquet files with a column weights, such files")
]
AnalysisOut = Annotated[
    str | None, typer.Option("--out", metavar="DIR", help="where the analysis goes; without it, into the one run")
]
LayoutFile = Annotated[
    Path | None, typer.Option("--layout", metavar="FILE.json", help="layout of plain Parquet files that lack one")
]
Out = Annotated[str, typer.Option("--out", metavar="RUN", help="run directory to write")]
Sources = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SOURCE]…", help="folders, files or zips with checkpoints; or patterns of them"),
]
NamePattern = Annotated[
    str | None,
    typer.Option("--pattern", metavar="TEXT", help="what names say, such as '{model}/epoch-{epoch}.pt'; {*}: anything"),
]
Git = Annotated[str | None, typer.Option("--git", metavar="REPO", help="import every version that a repository has")]
GitPath = Annotated[str | None, typer.Option("--path", metavar="PATTERN", help="with --git: of which files")]
Strict = Annotated[bool, typer.Option("--strict", help="stop at the first file that cannot be read")]
Overrides = Annotated[list[str], typer.Option("--set", metavar="A.B=VALUE", help="change one value; repeatable")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", envvar="ZOO_DATA_DIR", help="holds mnist/ and the like")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with the run that is there")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the run or analysis that is there")]
ExecutorName = Annotated[Literal["ray", "inline"], typer.Option("--executor", help="inline: this process, no Ray")]
RayAddress = Annotated[str | None, typer.Option("--ray-address", help="local, auto or host:port; else RAY_ADDRESS")]
Memory = Annotated[
    str, typer.Option("--memory", metavar="BYTES", help="for weights, where there are too many to hold, such as 4GiB")
]
Log = Annotated[Path | None, typer.Option("--log", metavar="FILE", help="append what happens, a JSON object a line")]
Repair = Annotated[bool, typer.Option("--repair", help="remove what is damaged, and train exactly that again")]
Storage = Annotated[
    list[str],
    typer.Option("--storage-option", metavar="KEY=VALUE", help="for the driver of s3:// and the like; repeatable"),
]
Name = Annotated[str, typer.Option("--name", help="name of the analysis")]
AllPublished = Annotated[bool, typer.Option("--all-published", help="all published zoos, a line each, and totals")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
Track = Annotated[
    Literal["mlflow"] | None,
    typer.Option("--track", help="tell a tracker of it: MLflow, at MLFLOW_TRACKING_URI"),
]
Cluster = Annotated[bool, typer.Option("--cluster", help="how many GPUs or CPUs, how long, how much memory and money")]
Gpus = Annotated[int | None, typer.Option("--gpus", min=1, help="with --cluster: GPUs that there are")]
Cpus = Annotated[int | None, typer.Option("--cpus", min=1, help="with --cluster: CPUs, where tasks use no GPU")]
Hours = Annotated[
    float | None, typer.Option("--hours", min=0.001, max=1e6, help="with --cluster: time for training, else 24")
]
Rate = Annotated[
    float | None,
    typer.Option("--rate", min=1e-9, max=1e12, help="with --cluster: model-epochs/s of one GPU or CPU; else estimated"),
]
Price = Annotated[
    float | None, typer.Option("--price", min=0, max=1e9, help="with --cluster: of one GPU or CPU, an hour")
]
PerNode = Annotated[int, typer.Option("--per-node", min=1, help="with --cluster: GPUs or CPUs of one machine")]
