"""Choosing the engine: the real work, done for a moment in each way."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, isinf

import torch

from zoo_pipeline.architecture import RESNETS, Architecture
from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.training.arithmetic import arithmetic
from zoo_pipeline.training.device_data import DeviceData
from zoo_pipeline.training.engine import Engine
from zoo_pipeline.training.stack import Member, Stack
from zoo_pipeline.training.workplace import Workplace

FEW_STEPS, MANY_STEPS = 1, 9  # of an epoch; the difference leaves the epoch's preparation out
ROUNDS = 3  # through all ways, because a machine's own speed changes from second to second; the best of each counts
REPEATS = 3  # in each round; the first ones warm up and capture
BUDGET_S = 5.0  # after which no further way is begun


@dataclass(frozen=True)
class Trial:
    """One way that was tried, and how fast it was at its best; 0 where it did not work at all."""

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
        The fastest engine, and all that were tried.
    """
    data = DeviceData.of(dataset.part(members[0].hyperparameters.data_fraction), architecture, device)
    before = torch.get_num_threads()
    started = time.perf_counter()
    best: dict[Engine, _Times] = {}
    try:
        for engine in list(_ways(architecture, len(members), device, threads, stack, capture)) * ROUNDS:
            if best and time.perf_counter() - started > BUDGET_S:
                break
            torch.set_num_threads(engine.threads)
            times = _measure(architecture, members, data, device, engine)
            best[engine] = times.better(best.get(engine, times))
    finally:
        torch.set_num_threads(before)
    trials = [Trial(engine, times.rate(engine)) for engine, times in best.items()]
    fastest = max(trials, key=lambda trial: trial.model_steps_per_s)
    if fastest.model_steps_per_s == 0:  # training halves its stacks further, or says what is wrong
        smallest = min(trial.engine.stack or len(members) for trial in trials)
        return Engine(threads=threads[0], stack=smallest, capture=False), trials
    return fastest.engine, trials


@dataclass(frozen=True)
class _Times:
    """Seconds of an epoch's first few steps and of many; infinite where they failed."""

    few: float
    many: float
    steps: int  # that the many are more than the few

    def better(self, other: "_Times") -> "_Times":
        return _Times(min(self.few, other.few), min(self.many, other.many), max(self.steps, other.steps))

    def rate(self, engine: Engine) -> float:
        """Model steps per second."""
        # Where an epoch is one step, its preparation has to be counted in.
        # And a disturbed measurement must not look like a way that takes no time.
        seconds = max(self.many - self.few, 0.2 * self.many) / self.steps if self.steps else self.few
        return 0.0 if isinf(self.few) or engine.stack is None else engine.stack / seconds


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


def _measure(
    architecture: Architecture, members: Sequence[Member], data: DeviceData, device: str, engine: Engine
) -> _Times:
    """Train a few steps in one way; memory or the capture may fail."""
    try:
        with arithmetic():
            trained = Stack(architecture, members[: engine.stack], data, device, Workplace(device, engine.capture))
            few = min(_seconds(trained, FEW_STEPS) for _ in range(REPEATS))
            many = min(_seconds(trained, MANY_STEPS) for _ in range(REPEATS))
    except RuntimeError:  # out of memory, or an operation that cannot be captured
        return _Times(inf, inf, 0)
    return _Times(few, many, min(MANY_STEPS, trained.steps) - FEW_STEPS)


def _seconds(stack: Stack, steps: int) -> float:
    """Wall time of the first steps of an epoch, its preparation included."""
    started = time.perf_counter()
    stack.advance(1, most_steps=steps)
    stack.wait()
    return time.perf_counter() - started
