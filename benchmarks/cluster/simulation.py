"""All published zoos as one plan, on many simulated workers: what the driver and Ray's own services have to do."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from benchmarks.cluster.processes import named, peak_bytes, processor_s
from benchmarks.cluster.sleeping import SimulatedData, sleep_and_publish
from zoo_pipeline.architecture import Architecture
from zoo_pipeline.config import Resources
from zoo_pipeline.data import facts_of
from zoo_pipeline.plan import Group, Plan, plan
from zoo_pipeline.ranges import shard_name
from zoo_pipeline.recipes import load_config, published_names
from zoo_pipeline.runtime import training
from zoo_pipeline.runtime.ray_executor import RayExecutor
from zoo_pipeline.sizing import Wish, size
from zoo_pipeline.store.commit import published
from zoo_pipeline.store.groups import complete
from zoo_pipeline.store.rundir import RunDirectory

HASH = "5" * 64  # of the data that nobody has
TINY = Architecture(name="mlp", input_shape=(1, 1, 1), classes=2, hidden=(), bias=False)
OBJECT_STORE_BYTES = 256 << 20
WORKER_BYTES = 64 << 30
_SERVICES = ("gcs_server", "raylet")


def measure_scheduling(workers: int, wall_s: float, folder: Path) -> dict[str, Any]:
    """Run the plan; returns the figures of the JSON line.

    Args:
        workers: processes that take tasks, each in place of a GPU.
        wall_s: how long the whole should take at the least: the scale of the estimated lengths.
        folder: of the run.
    """
    made, lengths = all_published()
    scale = wall_s * workers / sum(lengths.values())
    epoch_s = {group.number: lengths[group.number] * scale / group.epochs for group in made.groups}
    run = RunDirectory(str(folder / "run"))
    ended: list[float] = []
    ray.init(
        address="local",
        num_cpus=workers,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        logging_level="error",
        # The workers stand for machines of their own.
        _system_config={"memory_monitor_refresh_ms": 0},
        _memory=workers * WORKER_BYTES,
        runtime_env={"worker_process_setup_hook": "benchmarks.cluster.without_torch.install"},
    )
    try:
        _start(workers)
        before = {name: sum(map(processor_s, named(name))) for name in _SERVICES}
        driver_before = processor_s()
        run.claim(made)
        setattr(training, "train_and_publish", sleep_and_publish)  # noqa: B010
        setattr(training, "complete", _timed(complete, ended))  # noqa: B010
        stand_in: Any = SimulatedData(HASH, epoch_s)
        started = time.monotonic()
        report = training.train_zoo(made, stand_in, run, RayExecutor(made.config.resources))
        services = {
            name: {
                "processor_s": round(sum(map(processor_s, named(name))) - before[name], 2),
                "peak_mib": round(sum(map(peak_bytes, named(name))) / 2**20),
            }
            for name in _SERVICES
        }
        driver_s = processor_s() - driver_before
    finally:
        ray.shutdown()
    tasks_s = ended[0] - started
    in_tasks_s = sum(work.wall_s for work in report.groups)
    return {
        "workers": workers,
        "models": made.models,
        "groups": len(made.groups),
        "shards": sum(len(group.ranges) for group in made.groups),
        "failures": len(report.failures),
        "estimated_gpu_hours": round(sum(lengths.values()) / 3600, 1),
        "scale": round(scale, 6),
        "tasks_s": round(tasks_s, 2),
        "completing_s": round(time.monotonic() - ended[0], 2),
        "efficiency": round(in_tasks_s / workers / tasks_s, 4),
        "sleeping": round(wall_s / tasks_s, 4),
        "bound": round(_longest_first(sorted(epoch_s[g.number] * g.epochs for g in made.groups), workers), 2),
        "driver_peak_mib": round(peak_bytes() / 2**20),
        "driver_processor_s": round(driver_s, 2),
        "services": services,
        **_in_place(run, made),
    }


def all_published() -> tuple[Plan, dict[int, float]]:
    """One plan of all groups of the published zoos, and how long each takes on one GPU, in seconds.

    The longest groups come first. Models and epochs are as published; weights and metrics are of a network of two
    weights.
    """
    groups: list[tuple[float, Group]] = []
    for name in published_names():
        config = load_config(name, ("resources={num_gpus: 1}",))
        made = plan(config, replace(facts_of(config.zoo.dataset), content_sha256=HASH))
        rate = size(made, Wish(gpus=1))["rate"]
        groups += [(len(group.models) * group.epochs / rate, group) for group in made.groups]
    groups.sort(key=lambda each: -each[0])
    numbered, models = [], 0
    for number, (_, group) in enumerate(groups):
        numbered.append(_renumbered(group, number, models))
        models += len(group.models)
    whole = replace(
        made,
        config=made.config.model_copy(update={"resources": Resources(threads=1, stack=1)}),
        facts=replace(made.facts, content_sha256=HASH),
        architecture=TINY,
        groups=tuple(numbered),
    )
    return whole, {number: length for number, (length, _) in enumerate(groups)}


def _renumbered(group: Group, number: int, first_model: int) -> Group:
    """The group under another number, with models and shards of its own."""
    whole = len(group.ranges) == 1
    return Group(
        number,
        tuple(replace(model, model_id=first_model + place) for place, model in enumerate(group.models)),
        tuple(replace(part, shard=shard_name(number, part.first, part.last, whole=whole)) for part in group.ranges),
    )


def _start(workers: int) -> None:
    """Have all workers running, and everything imported, as machines have after their start."""

    @ray.remote(num_cpus=0)
    class Arrivals:
        def __init__(self) -> None:
            self.count = 0

        def arrive(self) -> None:
            self.count += 1

        def all_there(self, expected: int) -> bool:
            return self.count >= expected

    def wait(arrivals: Any, expected: int) -> None:
        ray.get(arrivals.arrive.remote())
        while not ray.get(arrivals.all_there.remote(expected)):
            time.sleep(1.0)

    arrivals = Arrivals.remote()  # type: ignore[attr-defined]
    import_all = ray.remote(num_cpus=1)(_imports)
    ray.get([import_all.remote(arrivals, workers, wait) for _ in range(workers)])
    ray.kill(arrivals)


def _imports(arrivals: Any, expected: int, wait: Callable[[Any, int], None]) -> None:
    import benchmarks.cluster.sleeping

    assert benchmarks.cluster.sleeping
    wait(arrivals, expected)


def _timed(complete: Callable[..., None], ended: list[float]) -> Callable[..., None]:
    def timed(*given: Any) -> None:
        ended.append(time.monotonic())
        complete(*given)

    return timed


def _longest_first(lengths: list[float], workers: int) -> float:
    """How long the tasks take where each goes to the worker that is free first, the longest first, in no time."""
    free = [0.0] * workers
    for length in reversed(lengths):
        first = min(range(workers), key=free.__getitem__)
        free[first] += length
    return max(free)


def _in_place(run: RunDirectory, made: Plan) -> dict[str, Any]:
    """Whether all is there that has to be."""
    manifest = json.loads(run.files.read("manifest.json"))
    proved = sum(len(published(run, group, made.spec_hash)) for group in made.groups)
    rows = sum(line["rows"] for line in manifest["shards"])
    return {
        "in_manifest": len(manifest["shards"]),
        "proved": proved,
        "rows": rows,
        "complete": proved == len(manifest["shards"])
        and rows == made.checkpoints
        and manifest["models"]["rows"] == made.models,
    }
