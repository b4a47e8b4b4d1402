"""The approximate mode with and without a GPU, on the same bag in the same run, without Ray.

python -m benchmarks.scale_gpu --checkpoints N [--hidden UNITS] [--sides cpu:1,cuda:1,cpu:16,cuda:16]

A side is a device and how many processes work, each with one thread; those of "cuda" share the GPU. The bag is 200
trajectories trained on the GPU, each many times with renumbered hidden units (as in `benchmarks.renumbered`): CNN-s, or
with --hidden an MLP of one hidden layer. Its rows are shuffled over files in memory or on disk; making it is not
counted, nor are the start of the processes and one recovery of a tenth of the bag before.
"""

import argparse
import json
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from benchmarks.machine import hardware
from benchmarks.renumbered import EPOCHS, NETWORK, SHARD_ROWS, renumbered, train_real
from benchmarks.workers import one_thread
from zoo_pipeline.architecture import Architecture
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories import recover_in_shares
from zoo_pipeline.trajectories.crew import computed
from zoo_pipeline.trajectories.recovery import Recovery


class Processes:
    """A crew of processes on one machine; what they give each other goes through files."""

    def __init__(self, workers: int, device: str, folder: Path) -> None:
        self.workers = workers
        self._folder = folder
        with one_thread():
            self._pool = get_context("spawn").Pool(workers, _begin, (device,))

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.terminate()

    def map(self, function: Callable[..., Any], items: Sequence[Any]) -> Iterator[Any]:
        """As `Crew.map` says."""
        return self._pool.imap(partial(_call, function), items)

    def exchange(
        self,
        give: Callable[[Any], Sequence[Any]],
        sources: Sequence[Any],
        take: Callable[..., Any],
        parts: Sequence[Any],
    ) -> Iterator[Any]:
        """As `Crew.exchange` says."""
        self._pool.map(partial(_give, give, self._folder), list(enumerate(sources)), chunksize=1)
        return self._pool.imap(partial(_take, take, self._folder, len(sources)), list(enumerate(parts)))


_device = "cpu"  # of this process


def _begin(device: str) -> None:
    global _device
    _device = device
    torch.set_num_threads(1)


def _call(function: Callable[..., Any], item: Any) -> Any:
    return computed(_device, function, item)


def _give(give: Callable[[Any], Sequence[Any]], folder: Path, source: tuple[int, Any]) -> None:
    for number, block in enumerate(give(source[1])):
        (folder / f"{source[0]}-{number}").write_bytes(pickle.dumps(block, protocol=5))


def _take(take: Callable[..., Any], folder: Path, sources: int, part: tuple[int, Any]) -> Any:
    blocks = [pickle.loads((folder / f"{source}-{part[0]}").read_bytes()) for source in range(sources)]
    return computed(_device, take, part[1], blocks)


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale_gpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--checkpoints", type=int, default=100_000)
    parser.add_argument("--hidden", type=int, help="units of an MLP; a CNN-s without it")
    parser.add_argument("--sides", default="cpu:1,cuda:1", help="device:processes, …; the first is what others equal")
    parser.add_argument("--repeats", type=int, default=1)
    asked = parser.parse_args()
    network = Architecture("mlp", (1, 28, 28), 10, hidden=(asked.hidden,)) if asked.hidden else NETWORK
    sides = [(device, int(workers)) for device, workers in (side.split(":") for side in asked.sides.split(","))]
    with ExitStack() as stack:
        data, given = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        model = make(network, asked.checkpoints, data)
        crews = {
            f"{device}, {workers}": stack.enter_context(Processes(workers, device, given)) for device, workers in sides
        }
        shares = len(list(data.iterdir()))
        read, layout = partial(_read, data), Layout.of(network.tensors)
        found: dict[str, dict[str, Any]] = {}
        first: Recovery | None = None
        for name, crew in crews.items():
            recover_in_shares(read, max(1, shares // 10), layout, crew=crew)
            seconds = []
            for _ in range(asked.repeats):
                started = time.perf_counter()
                recovery, _ = recover_in_shares(read, shares, layout, crew=crew)
                seconds.append(round(time.perf_counter() - started, 3))
            first = first or recovery
            found[name] = {
                "seconds": seconds,
                "stages": {stage: round(taken, 3) for stage, taken in recovery.seconds.items()},
                "ari": float(adjusted_rand_score(model, recovery.trajectory)),
                "trajectories": len(recovery.length),
                "same": bool(
                    np.array_equal(first.trajectory, recovery.trajectory)
                    and np.array_equal(first.position, recovery.position)
                ),
            }
            print(name, found[name], flush=True)
    described = {
        "checkpoints": asked.checkpoints,
        "dimension": network.dimension,
        "sides": found,
        "hardware": hardware("cuda"),
        "versions": {name: version(name) for name in ("torch", "numpy", "scipy")},
    }
    print(json.dumps(described))


def make(network: Architecture, checkpoints: int, folder: Path) -> NDArray[np.int64]:
    """Write a bag's rows, shuffled, as one array per share; returns the model of every row, int64[checkpoints]."""
    real = train_real(network, device="cuda")
    layout, generator = Layout.of(network.tensors), np.random.default_rng(0)
    columns = np.stack([renumbered(layout, generator) for _ in range(-(-checkpoints // EPOCHS))])
    order = generator.permutation(checkpoints)
    rows = min(SHARD_ROWS, -(-checkpoints // 10))
    for share, start in enumerate(range(0, checkpoints, rows)):
        model, epoch = np.divmod(order[start : start + rows], EPOCHS)
        np.save(folder / f"{share}.npy", np.take_along_axis(real[model % len(real), epoch], columns[model], 1))
    numbers: NDArray[np.int64] = order // EPOCHS
    return numbers


def _read(folder: Path, share: int) -> Iterator[NDArray[np.float32]]:
    yield np.load(folder / f"{share}.npy", mmap_mode="r")


if __name__ == "__main__":
    main()
