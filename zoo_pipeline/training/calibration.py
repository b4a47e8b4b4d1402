"""Choosing the engine: the real work, done for a moment in each way."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from zoo_pipeline.architecture import RESNETS, Architecture
from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.training.arithmetic import arithmetic
from zoo_pipeline.training.device_data import DeviceData
from zoo_pipeline.training.engine import Engine
from zoo_pipeline.training.stack import Member, Stack

FEW_STEPS, MANY_STEPS = 1, 5  # of an epoch; the difference leaves the epoch's preparation out
REPEATS = 3  # the best counts; the first ones warm up and capture
BUDGET_S = 5.0  # after which no further way is begun


@dataclass(frozen=True)
class Trial:
    """One way that was tried, and how fast it was; 0 where it did not work at all."""

    engine: Engine
    model_steps_per_s: float


def calibrate(
    architecture: Architecture,
    members: Sequence[Member],
    dataset: Dataset,
    *,
    device: str = "cpu",
    threads: Sequence[int] = (1,),
    stack: int | None = None,
    capture: bool | None = None,
) -> tuple[Engine, list[Trial]]:
    """Train a few steps of a group in every way that makes sense, and choose the fastest.

    Args:
        architecture: the network.
        members: a group as it will be trained.
        dataset: what it learns.
        device: torch's name of the device.
        threads: numbers of threads that a task may use.
        stack: how many models to train at once, where that is decided already.
        capture: whether to capture CUDA graphs, where that is decided already.

    Returns:
        The fastest engine, and all trials in the order in which they were made.
    """
    data = DeviceData.of(dataset.part(members[0].hyperparameters.data_fraction), architecture, device)
    before = torch.get_num_threads()
    started = time.perf_counter()
    trials: list[Trial] = []
    try:
        for engine in _ways(architecture, len(members), device, threads, stack, capture):
            if trials and time.perf_counter() - started > BUDGET_S:
                break
            torch.set_num_threads(engine.threads)
            trials.append(Trial(engine, _rate(architecture, members, data, device, engine)))
    finally:
        torch.set_num_threads(before)
    return max(trials, key=lambda trial: trial.model_steps_per_s).engine, trials


def _ways(
    architecture: Architecture,
    models: int,
    device: str,
    threads: Sequence[int],
    stack: int | None,
    capture: bool | None,
) -> Iterator[Engine]:
    """The ways worth trying, likely ones first."""
    on_gpu = device != "cpu"
    if stack is not None:
        stacks = [min(stack, models)]
    elif architecture.name in RESNETS:
        stacks = [1]
    elif on_gpu:
        stacks = [models, *(models // 2**k for k in (1, 2) if models >= 2**k)]
    else:
        stacks = sorted({min(2**k, models) for k in range(9)}, key=lambda size: abs(size - 32))
    captures = [capture] if capture is not None else [True, False] if on_gpu else [False]
    for size in stacks:
        for captured in captures:
            for number in threads:
                yield Engine(threads=number, stack=size, capture=captured and on_gpu)


def _rate(
    architecture: Architecture, members: Sequence[Member], data: DeviceData, device: str, engine: Engine
) -> float:
    """Model steps per second, or 0 where memory or the capture fails."""
    assert engine.stack is not None
    try:
        with arithmetic():
            trained = Stack(architecture, members[: engine.stack], data, device, engine.capture)
            few = min(_seconds(trained, FEW_STEPS) for _ in range(REPEATS))
            many = min(_seconds(trained, MANY_STEPS) for _ in range(REPEATS))
    except RuntimeError:  # out of memory, or an operation that cannot be captured
        return 0.0
    steps = min(MANY_STEPS, trained.steps) - FEW_STEPS
    # Where an epoch is one step, its preparation has to be counted in.
    return engine.stack * (steps / max(many - few, 1e-9) if steps else 1 / few)


def _seconds(stack: Stack, steps: int) -> float:
    """Wall time of the first steps of an epoch, its preparation included."""
    started = time.perf_counter()
    stack.advance(1, most_steps=steps)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started
