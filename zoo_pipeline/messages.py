"""What commands that train say of it on the terminal, and when they leave with an error."""

import os
import shlex
import sys
from collections import Counter
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from zoo_pipeline.counts import plural
from zoo_pipeline.places import JOB
from zoo_pipeline.store.options import redacted
from zoo_pipeline.tables import engine_line, training_table
from zoo_pipeline.workflow import Options

if TYPE_CHECKING:
    from zoo_pipeline.runtime.importing import ImportReport
    from zoo_pipeline.runtime.training import TrainingReport

# What is no terminal has no width: a line that is folded in a file or a pipe is two.
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 500
console = Console(highlight=False, markup=False, width=_WIDTH)


def tell_training(result: "TrainingReport") -> None:
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


def tell_import(report: "ImportReport") -> None:
    """Say what was imported, and what was not and why."""
    rate = (report.files - report.found) / max(report.wall_s, 1e-9)
    for run in report.runs:
        console.print(
            f"{run.root}: {plural(run.checkpoints, 'checkpoint')} of {plural(run.layout.dimension, 'weight')}, "
            f"{plural(run.models, 'model')} by their names",
            soft_wrap=True,
        )
    found = f", found {report.found:,} done" if report.found else ""
    told = f"imported {plural(report.files - report.found, 'file')}{found}, {report.wall_s:.1f} s, {rate:,.0f} files/s"
    if report.identical:
        told += f"; {report.identical:,} have the weights of another"
    console.print(told, soft_wrap=True)
    if report.troubles:
        more = f", and {len(report.troubles) - 1:,} more" if len(report.troubles) > 1 else ""
        print(f"zoo: {report.troubles[0]}{more}; what stands there is not imported", file=sys.stderr)
    if report.refused:
        reasons = Counter(why.partition(":")[0] for _, why in report.refused)
        parts = [f"{times:,} {why}" for why, times in reasons.most_common(3)]
        if others := sum(times for _, times in reasons.most_common()[3:]):
            parts.append(f"{others:,} for other reasons")
        print(
            f"zoo: {plural(len(report.refused), 'file')} could not be read ({', '.join(parts)}); {report.account} "
            f"lists them",
            file=sys.stderr,
        )


def tell_which(each: Options, runs: list[Options]) -> None:
    """Say which of several runs is next."""
    if len(runs) > 1:
        console.print(each.out, soft_wrap=True)


def leave_if_failed(results: "list[TrainingReport]") -> None:
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


def tell_interrupted(words: list[str]) -> None:
    """Say to somebody who ended a command how to go on."""
    if words[:1] not in (["train"], ["run"], ["import"]):
        how = "with --overwrite does it" if words[:1] == ["export"] else "does it"
        print(f"zoo: interrupted; nothing is half-written, the same command {how} anew", file=sys.stderr)
        return
    again = [word for word in words if word not in ("--overwrite", "--resume")]
    script = os.environ.get(JOB)
    told = redacted(shlex.join([*(script.split() if script else ["zoo", words[0]]), *again[1:], "--resume"]))
    how = "To go on, submit it again" if script else "To go on"
    print(f"zoo: interrupted; what is published stays. {how}: {told}", file=sys.stderr)
