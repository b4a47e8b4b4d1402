"""The `zoo` command."""

import json
import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from zoo_pipeline import mending, planning, workflow
from zoo_pipeline.arguments import (
    AllPublished,
    AnalysisOut,
    AsJson,
    Cluster,
    Config,
    Cpus,
    DataDir,
    ExecutorName,
    Gpus,
    Hours,
    Inputs,
    LayoutFile,
    Log,
    Memory,
    Name,
    Out,
    Overrides,
    Overwrite,
    PerNode,
    Price,
    Rate,
    RayAddress,
    Repair,
    Resume,
    Run,
    Storage,
    Track,
)
from zoo_pipeline.counts import plural
from zoo_pipeline.errors import ConfigError, ZooError
from zoo_pipeline.export_command import export
from zoo_pipeline.import_command import import_all
from zoo_pipeline.messages import console, leave_if_failed, tell_interrupted, tell_training, tell_which
from zoo_pipeline.places import JOB
from zoo_pipeline.planning import summary_of
from zoo_pipeline.runtime.ending import TERMINATED, Terminated, farewells
from zoo_pipeline.sizing import Wish
from zoo_pipeline.store.options import StorageOptions, use_storage_options
from zoo_pipeline.tables import (
    cluster_table,
    plan_table,
    status_table,
    summary_table,
    totals,
    zoos_table,
)
from zoo_pipeline.workflow import Options

app = typer.Typer(
    help="Train model zoos on Ray, keep every checkpoint in Parquet, recover their trajectories.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

INTERRUPTED = 130  # as a shell has it for SIGINT
TABLE_WIDTH = 120  # of the table of zoos


@app.command()
def plan(
    config: Annotated[str | None, typer.Argument(metavar="[CONFIG]", help="name of a recipe, or a YAML file")] = None,
    overrides: Overrides = [],  # noqa: B006
    data_dir: DataDir = None,
    as_json: AsJson = False,
    all_published: AllPublished = False,
    cluster: Cluster = False,
    gpus: Gpus = None,
    cpus: Cpus = None,
    hours: Hours = None,
    rate: Rate = None,
    price: Price = None,
    per_node: PerNode = Wish.per_node,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Print groups, models, checkpoints, bytes and files of a configuration; change nothing."""
    use_storage_options(StorageOptions.parse(storage))
    wish = Wish(gpus, cpus, hours, rate, price, per_node)
    planning.check_asked(config, overrides, wish, cluster=cluster, all_published=all_published)
    if all_published:
        zoos = totals([made.summary() for made in planning.published()])
        if as_json:
            print(json.dumps(zoos, indent=1))
        else:  # wide, whatever the terminal: a cut figure is none
            Console(highlight=False, width=max(console.width, TABLE_WIDTH)).print(zoos_table(zoos))
        return
    plans = planning.planned(str(config), overrides, data_dir)
    summaries = [summary_of(made, wish if cluster else None) for made in plans]
    if as_json:
        print(json.dumps(summaries[0] if len(summaries) == 1 else {"runs": summaries}, indent=1))
        return
    for summary in summaries:
        console.print(plan_table(summary))
        if cluster:
            console.print(cluster_table(summary["cluster"]), soft_wrap=True)


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
    track: Track = None,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Train a zoo and write its checkpoints."""
    use_storage_options(StorageOptions.parse(storage))
    options = Options(
        config, out, tuple(overrides), data_dir, resume, overwrite, executor, ray_address, log=log, track=track
    )
    runs = workflow.each_run(options)
    results = []
    for each in runs:
        tell_which(each, runs)
        results.append(workflow.train(each))
        tell_training(results[-1])
    leave_if_failed(results)


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
    track: Track = None,
    storage: Storage = [],  # noqa: B006
) -> None:
    """Train, analyze and report in one go."""
    use_storage_options(StorageOptions.parse(storage))
    options = Options(
        config, out, tuple(overrides), data_dir, resume, overwrite, executor, ray_address, memory, log, track
    )
    runs = workflow.each_run(options)
    results = []
    for each in runs:
        tell_which(each, runs)
        result = workflow.run(each, trained=tell_training)
        results.append(result.training)
        if result.summary is not None:
            console.print(summary_table(result.summary))
            console.print(f"report: {result.page}", soft_wrap=True)
    leave_if_failed(results)


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
            tell_training(repaired.training)
        leave_if_failed([repaired.training] if repaired.training is not None else [])
    else:
        found = workflow.status(run, whole=True)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        console.print(status_table(found))
    if found["damaged"] or (found["manifest"] and found["missing"]):
        print(f"zoo: the run is not whole; {mending.how_to_mend(run)}", file=sys.stderr)
        raise typer.Exit(1)
    if found["damaged_analyses"]:
        print("zoo: the run is whole, but an analysis is not; make that again", file=sys.stderr)
        raise typer.Exit(1)
    if not as_json:
        console.print(f"read {plural(found['done'], 'shard')} with every byte: nothing is damaged", soft_wrap=True)


app.command("import")(import_all)
app.command()(export)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 for failed groups or a damaged run, 2 for a user's error."""
    words = sys.argv[1:] if arguments is None else arguments
    farewells[:] = [lambda: tell_interrupted(words)]
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
    if code == INTERRUPTED:  # typer makes an exit code of Ctrl-C, too; SIGTERM has been answered when it came
        tell_interrupted(words)
    return code if isinstance(code, int) else 0


def job(command: str) -> int:
    """What the scripts of jobs/ do: one of the commands, on the cluster of the machine where it is started."""
    os.environ.setdefault("RAY_ADDRESS", "auto")  # `ray submit` sets none: without it, a Ray of our own on the head
    os.environ.setdefault(JOB, f"python jobs/{command}.py")
    return main([command, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
