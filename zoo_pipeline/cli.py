"""The `zoo` command."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from zoo_pipeline import workflow
from zoo_pipeline.errors import ZooError
from zoo_pipeline.tables import plan_table, status_table, summary_table, training_table
from zoo_pipeline.workflow import Options

if TYPE_CHECKING:
    from zoo_pipeline.runtime.training import TrainingReport

app = typer.Typer(
    help="Train model zoos on Ray, keep every checkpoint in Parquet, recover their trajectories.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Config = Annotated[str, typer.Argument(metavar="CONFIG", help="name of a recipe, or a YAML file")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="run directory: a local path or an fsspec URI")]
Out = Annotated[str, typer.Option("--out", metavar="RUN", help="run directory to write")]
Overrides = Annotated[list[str], typer.Option("--set", metavar="A.B=VALUE", help="change one value; repeatable")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", envvar="ZOO_DATA_DIR", help="holds mnist/ and the like")]
Resume = Annotated[bool, typer.Option("--resume", help="go on with the run that is there")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace the run or analysis that is there")]
ExecutorName = Annotated[Literal["ray", "inline"], typer.Option("--executor", help="inline: this process, no Ray")]
RayAddress = Annotated[str | None, typer.Option("--ray-address", help="local, auto or host:port; else RAY_ADDRESS")]
Name = Annotated[str, typer.Option("--name", help="name of the analysis")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]

INTERRUPTED = 130  # as a shell has it for SIGINT
console = Console(highlight=False, markup=False)


@app.command()
def plan(config: Config, overrides: Overrides = [], data_dir: DataDir = None, as_json: AsJson = False) -> None:  # noqa: B006
    """Print groups, models, checkpoints, bytes and files of a configuration; change nothing."""
    summary = workflow.planned(config, overrides, data_dir).summary()
    _show(summary, plan_table(summary), as_json)


@app.command()
def train(
    config: Config,
    out: Out,
    overrides: Overrides = [],  # noqa: B006
    data_dir: DataDir = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    executor: ExecutorName = "ray",
    ray_address: RayAddress = None,
) -> None:
    """Train a zoo and write its checkpoints."""
    options = Options(config, out, tuple(overrides), data_dir, resume, overwrite, executor, ray_address)
    result = workflow.train(options)
    _tell(result)
    _fail(result)


@app.command()
def analyze(
    run: Run,
    name: Name = workflow.DEFAULT_ANALYSIS,
    overwrite: Overwrite = False,
    executor: ExecutorName = "ray",
    ray_address: RayAddress = None,
) -> None:
    """Recover the trajectories of a run from its weights alone, and score them against the truth."""
    console.print(summary_table(workflow.analyze(run, name, overwrite, executor, ray_address)))


@app.command()
def report(run: Run, name: Name = workflow.DEFAULT_ANALYSIS) -> None:
    """Write the run's report.html."""
    console.print(f"report: {workflow.report(run, name)}", soft_wrap=True)


@app.command("run")
def run_all(
    config: Config,
    out: Out,
    overrides: Overrides = [],  # noqa: B006
    data_dir: DataDir = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    executor: ExecutorName = "ray",
    ray_address: RayAddress = None,
) -> None:
    """Train, analyze and report in one go."""
    options = Options(config, out, tuple(overrides), data_dir, resume, overwrite, executor, ray_address)
    result = workflow.run(options, trained=_tell)
    _fail(result.training)
    console.print(summary_table(result.summary or {}))
    console.print(f"report: {result.page}", soft_wrap=True)


@app.command()
def status(run: Run, as_json: AsJson = False) -> None:
    """Say what of a run is done, missing or damaged."""
    found = workflow.status(run)
    _show(found, status_table(found), as_json)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 where groups failed, 2 for a user's error."""
    try:
        code = app(arguments, standalone_mode=False)
    except ZooError as error:
        print(f"zoo: {error}", file=sys.stderr)
        return 2
    except typer.TyperException as error:
        told = error.format_message() if isinstance(error, typer.BadParameter) else str(error)
        print(told if told.startswith("Usage") else f"zoo: {told.rstrip('.')}; see zoo --help", file=sys.stderr)
        return 2
    except typer.Exit as stop:
        code = stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # typer makes an exit code of Ctrl-C, too
        print("zoo: interrupted; what is published stays, train or run with --resume go on from it", file=sys.stderr)
    return code if isinstance(code, int) else 0


def _tell(result: "TrainingReport") -> None:
    """Say what training did."""
    rate = result.model_epochs_per_s
    console.print(
        f"trained {result.trained} groups, found {result.found} done, {result.wall_s:.1f} s, "
        f"{rate:,.{0 if rate >= 10 else 2}f} model-epochs/s"
        + (f", {result.diverged_models} models diverged" if result.diverged_models else ""),
        soft_wrap=True,
    )
    if result.groups:
        console.print(training_table(result))


def _fail(result: "TrainingReport") -> None:
    """Leave with exit code 1 where groups failed; the first three tell all they know."""
    for failure in result.failures:
        print(f"group {failure.group} failed: {failure.message}", file=sys.stderr)
    for failure in result.failures[:3]:
        print(f"\ngroup {failure.group}:\n{failure.traceback}", file=sys.stderr)
    if result.failures:
        print(f"zoo: {len(result.failures)} groups failed; --resume tries them again", file=sys.stderr)
        raise typer.Exit(1)


def _show(content: dict[str, Any], table: Any, as_json: bool) -> None:
    if as_json:
        print(json.dumps(content, indent=1))
    else:
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
