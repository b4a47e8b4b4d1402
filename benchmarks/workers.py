"""One process per core, pinned to it, that trains its share of the models when told to."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.machine import Rates, measure_rates
from benchmarks.trained import Trainer
from benchmarks.works import Work, shares
from zoo_pipeline.data import Dataset

ONE_THREAD = {  # read by the libraries when they are loaded, so before a process starts
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


@dataclass(frozen=True)
class Pass:
    """One timed training of all models.

    Attributes:
        seconds: from the start signal until the last worker is done.
        test_accuracy: of every model after the last epoch, float32[models].
    """

    seconds: float
    test_accuracy: NDArray[np.float32]


class Workers:
    """The processes of one side; idle, and without a thread that spins, until they are told to train."""

    def __init__(self, side: str, work: Work, dataset: Dataset, models: int, workers: int, device: str) -> None:
        cores = sorted(os.sched_getaffinity(0))
        context = get_context("spawn")
        self._processes = []
        self._connections: list[Connection] = []
        with one_thread():
            for number, seeds in enumerate(shares(models, workers)):
                ours, theirs = context.Pipe()
                core = None if device == "cuda" else cores[number % len(cores)]
                process = context.Process(target=_serve, args=(theirs, side, work, dataset, seeds, core, device))
                process.start()
                theirs.close()  # so that the end of the process ends our reading too
                self._processes.append(process)
                self._connections.append(ours)
        try:
            self.choices: list[str] = [self._answer(connection) for connection in self._connections]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def train(self) -> Pass:
        """Train all models once more, from the start."""
        started = time.perf_counter()
        self._tell("train")
        accuracies = [self._answer(connection) for connection in self._connections]
        return Pass(time.perf_counter() - started, np.concatenate(accuracies))

    def rates(self) -> list[Rates]:
        """What each worker's core can do while the others work too."""
        self._tell("rates")
        return [self._answer(connection) for connection in self._connections]

    def close(self) -> None:
        """End the processes."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join()

    def _tell(self, what: str) -> None:
        for connection in self._connections:
            connection.send(what)

    def _answer(self, connection: Connection) -> Any:
        try:
            return connection.recv()
        except EOFError:
            raise RuntimeError("a worker ended before its work; its own message is above") from None


@contextmanager
def one_thread() -> Iterator[None]:
    """Processes that are started within use one thread each."""
    before = dict(os.environ)
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def open_trainer(side: str, work: Work, dataset: Dataset, models: int, device: str) -> Trainer:
    """A side by name, for so many models; its libraries are loaded by its own processes alone."""
    match side:
        case "ours":
            from benchmarks.ours import OurTrainer

            return OurTrainer(work, dataset, models, device)
        case "unstored":
            from benchmarks.ours import UnstoredTrainer

            return UnstoredTrainer(work, dataset, models)
        case "stored":
            from benchmarks.ours import StoredTrainer

            return StoredTrainer(work, dataset, models)
        case "sequential":
            from benchmarks.opponents.sequential import SequentialTrainer

            return SequentialTrainer(work, dataset, device)
        case "jax":
            from benchmarks.opponents.jax import JaxTrainer

            return JaxTrainer(work, dataset, models)
        case _:
            raise ValueError(f"side: got {side}")


def _serve(
    connection: Connection, side: str, work: Work, dataset: Dataset, seeds: Sequence[int], core: int | None, device: str
) -> None:
    """What a worker does: get ready, then train whenever it is told to."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    torch.set_num_threads(1)
    trainer = open_trainer(side, work, dataset, len(seeds), device)
    trainer.warm_up(seeds)
    connection.send(trainer.choice)
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return
        if asked == "rates":
            connection.send(measure_rates(device))
        else:
            trained = trainer.train(seeds, work.hyperparameters.epochs)
            connection.send(trained.test_accuracy[:, -1])
