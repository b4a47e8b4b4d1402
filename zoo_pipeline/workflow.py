"""What the commands do, callable from Python: train, analyze, report, and all of them in a row."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo_pipeline.config import Resources, ZooConfig
from zoo_pipeline.counts import bytes_of
from zoo_pipeline.data import BUILT_IN, Dataset
from zoo_pipeline.datasets import PlannedDataset, load_dataset, planned_dataset
from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.places import absolute
from zoo_pipeline.plan import Plan, plan
from zoo_pipeline.recipes import load_config, load_configs

if TYPE_CHECKING:
    from zoo_pipeline.runtime.tracking import Tracker
    from zoo_pipeline.runtime.training import TrainingReport
    from zoo_pipeline.store.rundir import RunDirectory

# torch, ray, pyarrow and plotly are imported by the commands that need them: `zoo plan` and mistakes answer at once.

DEFAULT_ANALYSIS = "default"
DEFAULT_MEMORY = "4GiB"
HANDED_OVER_BYTES = 16 << 20  # of a dataset that this process gives to its workers itself


@dataclass(frozen=True)
class Options:
    """What `train` and `run` are asked to do; the command line's options of the same names.

    The configuration is a recipe's name or path, to which the overrides apply, or has been loaded already.
    """

    config: str | ZooConfig
    out: str
    overrides: tuple[str, ...] = ()
    data_dir: Path | None = None
    resume: bool = False
    overwrite: bool = False
    executor: str = "ray"
    ray_address: str | None = None
    memory: str = DEFAULT_MEMORY
    log: Path | None = None
    track: str | None = None


@dataclass(frozen=True)
class RunReport:
    """What `run` did; summary and page are None where groups failed."""

    training: "TrainingReport"
    summary: dict[str, Any] | None = None
    page: str | None = None


def each_run(options: Options) -> list[Options]:
    """Options for every run that the recipe expands to; several runs lie in directories of their names below `out`.

    Args:
        options: what is asked for.

    Raises:
        ZooError: one of the runs cannot be done; nothing has been written then.
    """
    if isinstance(options.config, ZooConfig):
        return [options]
    configs = load_configs(options.config, options.overrides)
    if len(configs) == 1:
        return [replace(options, config=configs[0])]
    place = absolute(options.out).rstrip("/")
    runs = [replace(options, config=config, out=f"{place}/{config.name}") for config in configs]
    for part in runs:
        prepare(part)
    return runs


def train(options: Options) -> "TrainingReport":
    """Train what is missing of a run.

    Raises:
        ZooError: a user's mistake, or a place that cannot be written.
    """
    from zoo_pipeline.runtime.log import logged
    from zoo_pipeline.runtime.opening import open_executor
    from zoo_pipeline.runtime.training import train_zoo

    zoo_plan, dataset, run = prepare(options)
    resources = zoo_plan.config.resources
    with logged(options.log), open_executor(options.executor, resources, options.ray_address) as executor:
        run.claim(zoo_plan, resume=options.resume, overwrite=options.overwrite)
        with _tracker(options, zoo_plan, run) as tracker:
            report = train_zoo(zoo_plan, dataset, run, executor)
            if tracker:
                tracker.trained(report)
        return report


def run(options: Options, trained: Callable[["TrainingReport"], None] = lambda _: None) -> RunReport:
    """Train what is missing, analyse, and write the report.

    Args:
        options: what to do.
        trained: told what training did before the analysis starts.

    Raises:
        ZooError: a user's mistake, or a place that cannot be written.
    """
    from zoo_pipeline.runtime.analysis_in_turn import analyze_in_turn
    from zoo_pipeline.runtime.executor import REPORT
    from zoo_pipeline.runtime.log import logged
    from zoo_pipeline.runtime.opening import open_executor
    from zoo_pipeline.runtime.reporting import report_in_job
    from zoo_pipeline.runtime.training import train_zoo

    memory = _memory_bytes(options.memory)
    zoo_plan, dataset, run_directory = prepare(options)
    resources = zoo_plan.config.resources
    with logged(options.log), open_executor(options.executor, resources, options.ray_address) as executor:
        run_directory.claim(zoo_plan, resume=options.resume, overwrite=options.overwrite)
        with _tracker(options, zoo_plan, run_directory) as tracker:
            training = train_zoo(zoo_plan, dataset, run_directory, executor)
            trained(training)
            if tracker:
                tracker.trained(training)
            if training.failures:
                return RunReport(training)
            summary = analyze_in_turn(executor, run_directory.root, DEFAULT_ANALYSIS, memory)
            page = executor.call(REPORT, report_in_job, run_directory.root, DEFAULT_ANALYSIS)
            if tracker:
                tracker.analysed(DEFAULT_ANALYSIS)
    return RunReport(training, summary, page)


def analyze(
    root: str,
    name: str = DEFAULT_ANALYSIS,
    overwrite: bool = False,
    executor: str = "ray",
    address: str | None = None,
    memory: str = DEFAULT_MEMORY,
) -> dict[str, Any]:
    """Analyse a run, write the analysis into it, and return the summary.

    Raises:
        ZooError: it is no run or cannot be read, or has an analysis of that name already.
    """
    from zoo_pipeline.runtime.analysis import analyze_run
    from zoo_pipeline.runtime.opening import open_executor
    from zoo_pipeline.sources import find_source
    from zoo_pipeline.store.claim import claimed
    from zoo_pipeline.store.filesystem import Files

    place, memory_bytes = absolute(root), _memory_bytes(memory)
    if find_source(root, place).run is None:  # refused before Ray is started
        raise ConfigError(f"{root}: holds Parquet files and is no run; --out DIR says where the analysis goes")
    with (
        claimed(Files(place), name, overwrite=overwrite),
        open_executor(executor, Resources(), address) as opened,
    ):
        return analyze_run(opened, place, name, memory_bytes)


def analyze_into(
    out: str,
    inputs: Sequence[str],
    layout: Path | None = None,
    name: str = DEFAULT_ANALYSIS,
    overwrite: bool = False,
    executor: str = "ray",
    address: str | None = None,
    memory: str = DEFAULT_MEMORY,
) -> dict[str, dict[str, Any]]:
    """Analyse runs and plain Parquet files together, the rows of each length and layout apart, with a page for each.

    Args:
        out: a new or empty directory, or one with other analyses; the results go there, the inputs stay as they are.
        inputs: runs, folders of Parquet files, and Parquet files.
        layout: JSON file with the layout of plain files that have none in their metadata.
        name: of the analysis.
        overwrite: replace an analysis of that name.
        executor: "ray" or "inline".
        address: of Ray.
        memory: for the weights of more checkpoints than can be compared each with each, such as 4GiB.

    Returns:
        The summary of each part, by the part's name; it lies in `out`/analysis/`name`/PART.

    Raises:
        ZooError: an input cannot be read, or the results not be written where they are to go; nothing is written then.
    """
    from zoo_pipeline.runtime.analysis import analyze_sources
    from zoo_pipeline.runtime.opening import open_executor
    from zoo_pipeline.sources import check_sources, find_source, layout_file
    from zoo_pipeline.store.analyses import check_place
    from zoo_pipeline.store.claim import claimed
    from zoo_pipeline.store.filesystem import Files

    place, memory_bytes = absolute(out), _memory_bytes(memory)
    sources = [find_source(given, absolute(given)) for given in inputs]
    known = layout_file(layout) if layout else None
    check_sources(sources, known, place)
    check_place(Files(place))
    with (
        claimed(Files(place), name, overwrite=overwrite),
        open_executor(executor, Resources(), address) as opened,
    ):
        return analyze_sources(opened, sources, known, place, name, memory_bytes)


def report(root: str, name: str = DEFAULT_ANALYSIS) -> str:
    """Write the report of an analysis, and return its path.

    Raises:
        StoreError: there is no such run or analysis.
    """
    from zoo_pipeline.runtime.reporting import write_report
    from zoo_pipeline.store.filesystem import Files
    from zoo_pipeline.store.rundir import ANALYSIS, REPORT, SPEC

    place = absolute(root)
    if Files(place).names() == [ANALYSIS]:
        raise StoreError(
            f"{root}: has no {SPEC}; the pages of its analyses are there already, as {ANALYSIS}/NAME/PART/{REPORT}"
        )
    return write_report(place, name)


def status(root: str, *, whole: bool = False) -> dict[str, Any]:
    """What of a run is done, missing or damaged; by the files' footers, or by the `whole` of them.

    Raises:
        StoreError: not a run directory.
    """
    from zoo_pipeline.store.integrity import verify
    from zoo_pipeline.store.rundir import RunDirectory
    from zoo_pipeline.store.survey import survey

    return (verify if whole else survey)(RunDirectory(absolute(root)))


def _memory_bytes(memory: str) -> int:
    try:
        return bytes_of(memory)
    except ValueError as error:
        raise ConfigError(f"--memory: {error}") from None


def _tracker(options: Options, zoo_plan: Plan, run: "RunDirectory") -> "AbstractContextManager[Tracker | None]":
    """What tells a tracker of the zoo while the context is open; None where none is asked for."""
    if options.track is None:
        return nullcontext()
    from zoo_pipeline.runtime.tracking import tracked

    return tracked(zoo_plan, run, resume=options.resume)


def prepare(options: Options) -> "tuple[Plan, Dataset | PlannedDataset, RunDirectory]":
    """All that can be refused before anything is started or written; a large dataset is for workers to read again."""
    from zoo_pipeline.store.rundir import RunDirectory

    if options.resume and options.overwrite:
        raise ConfigError("--resume --overwrite: the one goes on with a run, the other removes it; use one of them")
    if options.track is not None:
        from zoo_pipeline.runtime.mlflow_run import check_mlflow

        check_mlflow()
    directory = RunDirectory(absolute(options.out))
    config = options.config
    loaded = config if isinstance(config, ZooConfig) else load_config(config, options.overrides)
    if loaded.zoo.dataset in BUILT_IN:  # refuse what is impossible before data are read
        plan(loaded, BUILT_IN[loaded.zoo.dataset])
    dataset = load_dataset(loaded.zoo.dataset, options.data_dir)
    zoo_plan = plan(loaded, dataset.facts)
    directory.check(zoo_plan, resume=options.resume, overwrite=options.overwrite)
    side = loaded.zoo.model.image_side
    resized = dataset.resized(side) if side else dataset
    if options.executor == "inline" or resized.size_bytes <= HANDED_OVER_BYTES:
        return zoo_plan, resized, directory
    return (
        zoo_plan,
        planned_dataset(loaded.zoo.dataset, options.data_dir, side, resized.content_sha256),
        directory,
    )
