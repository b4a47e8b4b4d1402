"""Choosing a run's engine: by what the configuration says, and for the rest by measuring on a worker."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import Dataset
from zoo_pipeline.errors import StoreError
from zoo_pipeline.plan import Group, Plan
from zoo_pipeline.runtime.executor import Executor
from zoo_pipeline.task_memory import task_bytes
from zoo_pipeline.training import Engine, Member, calibrate


@dataclass(frozen=True)
class CalibrationTask:
    """All that a worker needs to choose an engine, besides the dataset; None: to be measured."""

    architecture: Architecture
    members: tuple[Member, ...]
    threads: tuple[int, ...]
    stack: int | None
    capture: bool | None


def choose_engine(plan: Plan, dataset: Any, executor: Executor) -> dict[str, Any]:
    """The content of engine.json for a new run: an engine, and the trials that led to it.

    The dataset is one, or what the executor keeps of it.

    The largest group stands for all; where groups compute differently (activation, optimiser, batch size, dropout),
    the choice may not be the fastest for each of them, but is the same for the whole run.
    """
    resources = plan.config.resources
    largest = max(plan.groups, key=lambda group: len(group.models))
    if resources.threads is not None and resources.stack is not None and not resources.num_gpus:
        return _document(Engine(resources.threads, min(resources.stack, len(largest.models))), [])
    most = max(1, int(resources.num_cpus))
    task = CalibrationTask(
        architecture=plan.architecture,
        members=members_of(largest),
        threads=(resources.threads,) if resources.threads is not None else tuple(sorted({1, most})),
        stack=resources.stack,
        capture=resources.capture,
    )
    (outcome,) = executor.map_unordered(calibrate_on_worker, [task], dataset, memory_bytes=task_bytes(plan))
    if outcome.error is not None:
        raise outcome.error
    document: dict[str, Any] = outcome.value
    return document


def overruled(plan: Plan, document: dict[str, Any]) -> str | None:
    """One line on what the configuration asks for and engine.json has otherwise; None where they agree.

    Only what a new run would obey counts: no more models at once than a group has, and CUDA graphs on GPUs alone.
    """
    resources, engine = plan.config.resources, engine_of(document)
    most = max(len(group.models) for group in plan.groups)
    asked = {
        "threads": resources.threads,
        "stack": None if resources.stack is None else min(resources.stack, most),
        "capture": resources.capture if resources.num_gpus else None,
    }
    used = {**engine, "stack": most if engine["stack"] is None else min(engine["stack"], most)}
    differing = [name for name, value in asked.items() if value is not None and value != used[name]]
    if not differing:
        return None
    words = ", ".join(
        f"resources.{name} {json.dumps(engine[name])} (not {json.dumps(getattr(resources, name))})"
        for name in differing
    )
    return (
        f"goes on with {words}, as engine.json decides for the whole run since its start; to compute it otherwise, "
        f"train into another directory, or start again by --overwrite"
    )


def calibrate_on_worker(task: CalibrationTask, dataset: Dataset, *, device: str) -> dict[str, Any]:
    """Measure, where the training will be done."""
    engine, trials = calibrate(
        task.architecture,
        task.members,
        dataset,
        device=device,
        threads=task.threads,
        stack=task.stack,
        capture=task.capture,
    )
    measured = [
        {**asdict(trial.engine), "model_steps_per_s": float(f"{trial.model_steps_per_s:.4g}")} for trial in trials
    ]
    return _document(engine, measured)


def engine_of(document: dict[str, Any]) -> dict[str, Any]:
    """The engine in the content of engine.json: what every task obeys.

    Raises:
        StoreError: the file does not say it.
    """
    missing = [name for name in asdict(Engine()) if name not in document]
    if missing:
        raise StoreError(f"engine.json: has no {', '.join(missing)}, which docs/format.md asks for; mend it")
    engine = {name: document[name] for name in asdict(Engine())}
    numbers = [engine["threads"], *([engine["stack"]] if engine["stack"] is not None else [])]
    if not all(type(number) is int and number > 0 for number in numbers) or not isinstance(engine["capture"], bool):
        raise StoreError(
            f"engine.json: says {engine}; expected positive numbers as threads and stack (or null), and true or false "
            f"as capture; mend it"
        )
    return engine


def members_of(group: Group) -> tuple[Member, ...]:
    """A group's models as training takes them."""
    return tuple(Member(model.seed, model.hyperparameters) for model in group.models)


def _document(engine: Engine, trials: list[dict[str, Any]]) -> dict[str, Any]:
    return {**asdict(engine), "calibration": trials}
