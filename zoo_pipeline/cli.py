"""The `zoo` command."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from zoo_pipeline import mending, workflow
from zoo_pipeline.counts import plural
from zoo_pipeline.errors import ConfigError, ZooError
from zoo_pipeline.runtime.ending import TERMINATED, Terminated
from zoo_pipeline.store.options import StorageOptions, redacted, use_storage_options
from zoo_pipeline.tables import engine_line, plan_table, status_table, summary_table, totals, training_table, zoos_table
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

INTERRUPTED = 130  # as a shell has it for SIGINT
TABLE_WIDTH = 120  # of the table of zoos
console = Console(highlight=False, markup=False)


@app.command()
def plan(
    config: Annotated[str | None, typer.Argument(metavar="[CONFIG]", help="name of a recipe, or a YAML file")] = None,
    overrides: Overrides = [],  # noqa: B006
    data_dir: DataDir = None,
    as_json: AsJson = False,
    all_published: AllPublished = False,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Print groups, models, checkpoints, bytes and files of a configuration; change nothing."""
    use_storage_options(StorageOptions.parse(storage))
    if all_published:
        if config is not None or overrides:
            raise ConfigError("--all-published: plans the published zoos as they are; name no CONFIG and no --set")
        zoos = totals([made.summary() for made in workflow.published()])
        if as_json:
            print(json.dumps(zoos, indent=1))
        else:  # wide, whatever the terminal: a cut figure is none
            Console(highlight=False, width=max(console.width, TABLE_WIDTH)).print(zoos_table(zoos))
        return
    if config is None:
        raise ConfigError("no CONFIG is named: expected a recipe, a YAML file, or --all-published")
    summaries = [made.summary() for made in workflow.planned(config, overrides, data_dir)]
    if as_json:
        print(json.dumps(summaries[0] if len(summaries) == 1 else {"runs": summaries}, indent=1))
        return
    for summary in summaries:
        console.print(plan_table(summary))


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
    log: Log = None,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Train a zoo and write its checkpoints."""
    use_storage_options(StorageOptions.parse(storage))
    options = Options(config, out, tuple(overrides), data_dir, resume, overwrite, executor, ray_address, log=log)
    runs = workflow.each_run(options)
    results = []
    for each in runs:
        _head(each, runs)
        results.append(workflow.train(each))
        _tell(results[-1])
    _fail(results)


@app.command()
def analyze(
    inputs: Inputs,
    out: AnalysisOut = None,
    layout: LayoutFile = None,
    name: Name = workflow.DEFAULT_ANALYSIS,
    overwrite: Overwrite = False,
    executor: ExecutorName = "ray",
    ray_address: RayAddress = None,
    memory: Memory = workflow.DEFAULT_MEMORY,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Recover trajectories from weights alone, and score them where the truth is known."""
    use_storage_options(StorageOptions.parse(storage))
    if out is None:
        if len(inputs) > 1 or layout is not None:
            raise ConfigError("several inputs, and files with --layout, need --out DIR, where their analysis goes")
        console.print(summary_table(workflow.analyze(inputs[0], name, overwrite, executor, ray_address, memory)))
        return
    parts = workflow.analyze_into(out, inputs, layout, name, overwrite, executor, ray_address, memory)
    for part, summary in parts.items():
        console.print(summary_table(summary))
        console.print(f"report: {out.rstrip('/')}/analysis/{name}/{part}/report.html", soft_wrap=True)


@app.command()
def report(run: Run, name: Name = workflow.DEFAULT_ANALYSIS, storage: Storage = []) -> None:  # noqa: B006
    """Write the run's report.html."""
    use_storage_options(StorageOptions.parse(storage))
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
    memory: Memory = workflow.DEFAULT_MEMORY,
    log: Log = None,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Train, analyze and report in one go."""
    use_storage_options(StorageOptions.parse(storage))
    options = Options(config, out, tuple(overrides), data_dir, resume, overwrite, executor, ray_address, memory, log)
    runs = workflow.each_run(options)
    results = []
    for each in runs:
        _head(each, runs)
        result = workflow.run(each, trained=_tell)
        results.append(result.training)
        if result.summary is not None:
            console.print(summary_table(result.summary))
            console.print(f"report: {result.page}", soft_wrap=True)
    _fail(results)


@app.command()
def status(run: Run, as_json: AsJson = False, storage: Storage = []) -> None:  # noqa: B006
    """Say what of a run is done, missing or damaged."""
    use_storage_options(StorageOptions.parse(storage))
    found = workflow.status(run)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        console.print(status_table(found))


@app.command()
def verify(
    run: Run,
    as_json: AsJson = False,
    repair: Repair = False,
    overrides: Overrides = [],  # noqa: B006
    data_dir: DataDir = None,
    executor: ExecutorName = "ray",
    ray_address: RayAddress = None,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Read all of a run and say what is damaged, or mend it; exit code 1 where something is, or is missing."""
    use_storage_options(StorageOptions.parse(storage))
    if overrides and not repair:
        raise ConfigError("--set: changes how groups are trained again; use it with --repair")
    if repair:
        repaired = mending.repair(run, overrides, data_dir, executor, ray_address)
        found = repaired.found
        if repaired.training is not None and not as_json:
            lost = ", ".join(map(str, repaired.groups)) or "none"
            console.print(f"groups that were damaged or lost: {lost}", soft_wrap=True)
            _tell(repaired.training)
        _fail([repaired.training] if repaired.training is not None else [])
    else:
        found = workflow.status(run, whole=True)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        console.print(status_table(found))
    if found["damaged"] or (found["manifest"] and found["missing"]):
        print("zoo: the run is not whole; zoo verify RUN --repair trains again what is lost", file=sys.stderr)
        raise typer.Exit(1)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for failed groups or a damaged run, 2 for a user's error."""
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
    except Terminated:
        code = TERMINATED
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code in (INTERRUPTED, TERMINATED):  # typer makes an exit code of Ctrl-C, too
        print(_interrupted(sys.argv[1:] if arguments is None else arguments), file=sys.stderr)
    return code if isinstance(code, int) else 0


def _interrupted(words: list[str]) -> str:
    """What to say to somebody who ended a command: how to go on."""
    if words[:1] not in (["train"], ["run"]):
        return "zoo: interrupted; nothing is half-written, the same command does it anew"
    again = [word for word in words if word not in ("--overwrite", "--resume")]
    return f"zoo: interrupted; what is published stays. To go on: {redacted(shlex.join(['zoo', *again, '--resume']))}"


def _tell(result: "TrainingReport") -> None:
    """Say what training did."""
    rate = result.model_epochs_per_s
    console.print(
        f"trained {plural(result.trained, 'group')}, found {result.found} done, {result.wall_s:.1f} s, "
        f"{rate:,.{0 if rate >= 10 else 2}f} model-epochs/s"
        + (f", {plural(result.diverged_models, 'model')} diverged" if result.diverged_models else ""),
        soft_wrap=True,
    )
    if result.groups:
        console.print(engine_line(result.engine))
        console.print(training_table(result))


def _head(each: Options, runs: list[Options]) -> None:
    """Say which of several runs is next."""
    if len(runs) > 1:
        console.print(each.out, soft_wrap=True)


def _fail(results: "list[TrainingReport]") -> None:
    """Leave with exit code 1 where groups failed; what cannot be read in files is told whole for the first three."""
    failures = [failure for result in results for failure in result.failures]
    for failure in failures:
        where = f" (traceback in {failure.report})" if failure.report else ""
        print(f"group {failure.group} failed: {failure.message}{where}", file=sys.stderr)
    for failure in [failure for failure in failures if failure.report is None][:3]:
        print(f"\ngroup {failure.group}:\n{failure.traceback}", file=sys.stderr)
    if failures:
        print(f"zoo: {plural(len(failures), 'group')} failed; train or run with --resume tries again", file=sys.stderr)
        raise typer.Exit(1)


if __name__ == "__main__":
    sys.exit(main())
