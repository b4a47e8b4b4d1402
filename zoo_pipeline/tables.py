"""Tables for the terminal."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.filesize import decimal
from rich.table import Table

from zoo_pipeline.counts import binary, plural
from zoo_pipeline.store.remedies import GO_ON

if TYPE_CHECKING:
    from zoo_pipeline.runtime.training import TrainingReport

_SCORES = {
    "trajectories_true": "trajectories, true",
    "trajectories_found": "trajectories, found",
    "ari": "adjusted Rand index",
    "exact_trajectories": "recovered exactly",
    "margin": "margin",
    "kendall_tau_min": "|τ| of the order, least",
    "order_exact": "order exactly right",
    "direction_accuracy": "direction right",
    "direction_undecided": "direction undecided",
}


def plan_table(summary: dict[str, Any]) -> Table:
    """The figures of a plan, and its first and last shards."""
    table = _table(summary["name"])
    dataset = summary["dataset"]
    table.add_row("dataset", f"{dataset['name']} ({dataset['train_rows']:,} train, {dataset['test_rows']:,} test)")
    table.add_row("parameters", f"{summary['dimension']:,}")
    table.add_row("hyperparameter points", f"{summary['points']:,}")
    table.add_row("models", f"{summary['models']:,}")
    table.add_row("checkpoints", f"{summary['checkpoints']:,}")
    table.add_row("groups", f"{summary['groups']:,}")
    table.add_row("files", f"{summary['files']:,}")
    table.add_row("bytes, uncompressed", f"{summary['raw_bytes']:,}")
    table.add_row("memory per task", f"{binary(summary['task_bytes'])}, estimated")
    table.add_row("spec_hash", summary["spec_hash"] or "known once the data are read (--data-dir)")
    shards = summary["shards"]
    for shard in shards if len(shards) <= 6 else [*shards[:3], None, *shards[-3:]]:
        if shard is None:
            table.add_row("…", "…")
        else:
            table.add_row(shard["shard"], _shard_line(shard))
    return table


def cluster_table(found: dict[str, Any]) -> Table:
    """What a plan takes of a cluster, in the order in which it is worked out."""
    device, devices, rate = found["device"], plural(found["devices"], found["device"]), found["rate"]
    table = _table(f"on {devices}")
    if found["rate_from"] != "measured":
        table.add_row("operations per model-epoch", f"{found['operations_per_model_epoch']:,}")
    table.add_row(f"model-epochs/s of one {device}", f"{_three_digits(rate)}, {found['rate_from']}")
    table.add_row("model-epochs", f"{found['model_epochs']:,}")
    idle = found["tasks_at_once"] == found["groups"] and found["devices"] > found["devices_at_work"]
    more = f"; more than {plural(found['devices_at_work'], device)} do not help" if idle else ""
    table.add_row("tasks at once", f"{found['tasks_at_once']:,}{more}")
    table.add_row("one group", _duration(found["group_s"]))
    table.add_row("groups, one after another", f"{found['waves']:,} ({found['groups']:,} in all)")
    table.add_row("training", _duration(found["seconds"]))
    table.add_row("machines", f"{found['nodes']:,} of up to {plural(found['per_node'], device)}")
    tasks = plural(found["tasks_per_node"], "task")
    table.add_row("memory per machine", f"{binary(found['node_bytes'])} ({tasks} of {binary(found['task_bytes'])})")
    table.add_row("storage, at most", binary(found["storage_bytes"]))
    table.add_row(f"{device}-hours", f"{found['device_hours']:,.2f}")
    if found["cost"] is not None:
        table.add_row("cost", f"{found['cost']:,.2f} at {found['price']:g} per {device}-hour")
    return table


def _duration(seconds: float) -> str:
    """Seconds in the largest unit of which there is at least one."""
    unit, name = next(((unit, name) for unit, name in ((3600, "h"), (60, "min")) if seconds >= unit), (1, "s"))
    return f"{seconds / unit:,.2f} {name}"


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _shard_line(shard: dict[str, Any]) -> str:
    """What a shard will hold; the ids of its models need not follow each other without gaps."""
    first, last = shard["model_ids"]
    ids = f"id {first}" if first == last else f"ids {first} to {last}"
    return f"{plural(shard['models'], 'model')} ({ids}), {plural(shard['rows'], 'row')}, {shard['raw_bytes']:,} bytes"


def totals(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several plans: the main figures of each, and their sums."""
    figures = ("models", "states", "groups", "files", "raw_bytes")
    zoos = [
        {
            "name": summary["name"],
            "dataset": summary["dataset"]["name"],
            "architecture": summary["architecture"],
            "dimension": summary["dimension"],
            **{figure: summary["checkpoints" if figure == "states" else figure] for figure in figures},
        }
        for summary in summaries
    ]
    return {"zoos": zoos, "totals": {figure: sum(zoo[figure] for zoo in zoos) for figure in figures}}


def zoos_table(zoos: dict[str, Any]) -> Table:
    """Several plans, a line each, and their sums."""
    numbers = ("models", "states", "groups", "files")
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "dataset", "architecture"):
        table.add_column(heading, no_wrap=True)
    for heading in ("d", *numbers, "bytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for zoo in zoos["zoos"]:
        figures = (f"{zoo[figure]:,}" for figure in ("dimension", *numbers))
        table.add_row(zoo["name"], zoo["dataset"], zoo["architecture"], *figures, decimal(zoo["raw_bytes"]))
    sums = zoos["totals"]
    count = plural(len(zoos["zoos"]), "zoo")
    table.add_row(count, "", "", "", *(f"{sums[figure]:,}" for figure in numbers), decimal(sums["raw_bytes"]))
    return table


def engine_line(engine: dict[str, Any]) -> str:
    """How a run's groups are computed."""
    stack, threads = engine["stack"], plural(engine["threads"], "thread")
    models = "all models" if stack is None else plural(stack, "model")
    chosen = "measured" if engine.get("calibration") else "as configured"
    graphs = ", CUDA graphs" if engine["capture"] else ""
    return f"engine: {models} at once, {threads}{graphs} ({chosen})"


def training_table(report: "TrainingReport") -> Table:
    """What the tasks did: throughput and seconds per group, over the groups that were trained."""
    table = Table(box=None, pad_edge=False, header_style="")
    for label in ("per group", "least", "median", "most"):
        table.add_column(label, justify="left" if label == "per group" else "right")
    for label, values in (
        ("model-epochs/s", [work.model_epochs_per_s for work in report.groups]),
        ("seconds", [work.wall_s for work in report.groups]),
    ):
        table.add_row(label, *(_short(value) for value in (min(values), median(values), max(values))))
    retries = sum(work.retries for work in report.groups)
    if retries:
        table.add_row("tasks begun again", "", "", f"{retries:,}")
    return table


def summary_table(summary: dict[str, Any]) -> Table:
    """The scores of an analysis."""
    checkpoints, weights = plural(summary["checkpoints"], "checkpoint"), plural(summary["dimension"], "weight")
    table = _table(f"{summary['name']}: {checkpoints} of {weights}")
    if summary.get("complete") is False:
        table.add_row("of an incomplete run", "what is there so far; go on by --resume, then analyze --overwrite")
    for key, label in _SCORES.items():
        value = summary[key]
        table.add_row(
            label, "unknown" if value is None else f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
        )
    if claims := summary.get("claims"):
        table.add_row("models as their names say", f"{claims['agree']:,} of {claims['models']:,}")
    if summary["cut"]["threshold"] is None:
        why = "hardly any hidden units" if summary["layout_known"] else "layout unknown: --layout FILE.json"
        table.add_row("separated by", f"the largest gap, a guess ({why})")
    left_out = summary["left_out"]
    if left_out["checkpoints"]:
        models = f"{plural(left_out['models'], 'model')}, " if left_out["models"] else ""
        table.add_row("left out (not finite)", f"{models}{plural(left_out['checkpoints'], 'checkpoint')}")
    table.add_row("analysis", f"{sum(summary['seconds'].values()):.1f} s")
    return table


def status_table(found: dict[str, Any]) -> Table:
    """What of a run is there."""
    table = _table(f"{found['name']} in {found['run']}")
    groups, said = found["groups"], found["progress"]
    over = found["complete"] or found["manifest"] or (said is not None and not said["lost"])
    table.add_row("complete", "yes" if found["complete"] else "no" if over else f"no; {GO_ON}")
    table.add_row("groups done", f"{groups['done']:,} of {groups['all']:,}")
    if found["shards"] != groups["all"]:
        table.add_row("shards done", f"{found['done']:,} of {found['shards']:,}")
    table.add_row("shards hold", binary(found["bytes"]))
    if said is not None and not found["complete"]:
        _add_progress(table, said)
    for group, message in found["failed"].items():
        table.add_row("failed", f"group {group}: {message}")
    if found["states"]:
        table.add_row("training states saved", f"{found['states']:,}")
    for label in ("missing", "foreign"):
        names = found[label]
        if names:
            table.add_row(label, _few(names))
    for fault in found["damaged"].values():
        table.add_row("damaged", fault)
    for fault in found["damaged_analyses"].values():
        table.add_row("damaged", fault)
    table.add_row("analyses", ", ".join(found["analyses"]) or "none")
    table.add_row("report", "yes" if found["report"] else "no")
    return table


def _add_progress(table: Table, said: dict[str, Any]) -> None:
    """What the driver said last, and when."""
    driver = f"{said['driver']}, {said['age_s']:.0f} s ago"
    if said["lost"]:
        table.add_row("driver", f"nothing heard from {driver}: it may have been killed; go on by --resume")
        return
    model_epochs, running = said["model_epochs"], said["running"]
    table.add_row("driver", driver)
    table.add_row("groups running", f"{len(running):,}" + (f" ({_few(map(str, running))})" if running else ""))
    done, total = model_epochs["done"], model_epochs["total"]
    table.add_row("model-epochs", f"{done:,} of {total:,}, {model_epochs['per_s']:,.1f} per second")
    table.add_row("expected end", said["expected_end"] or "unknown")


def _few(names: Iterable[str]) -> str:
    first = list(names)
    return ", ".join(first[:4]) + (f" and {len(first) - 4:,} more" if len(first) > 4 else "")


def _short(value: float) -> str:
    return f"{value:,.{1 if value >= 10 else 2}f}"


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False, min_width=len(title))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    return table
