"""Reading checkpoint files: ours against `torch.load(weights_only=True)`, from the same bytes in memory, on one core.

python -m benchmarks.reading --files 5000

The files are of networks with 2,464 parameters in ten tensors. Three kinds: a state_dict alone; with epoch, loss and
Adam's state beside it; and one with a text of its own beside it, so that no two pickles are the same. The values that
both sides read are held against each other. Times are of the process's CPU: work beside it counts for neither side.
"""

import argparse
import io
import json
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.machine import hardware
from zoo_pipeline.formats import read_shapes, read_state

KINDS = ("state_dict", "with Adam", "all different")
BATCH_FILES = 500


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5_000, help="how many of each kind")
    files = parser.parse_args().files
    torch.set_num_threads(1)
    measured: dict[str, Any] = {}
    for kind in KINDS:
        measured[kind] = _measured(kind, files)
        print(f"{kind}: {measured[kind]}", flush=True)
    result = {
        "files": files,
        "kinds": measured,
        "times_faster": measured[KINDS[0]]["times_faster"],
        "versions": {name: version(name) for name in ("numpy", "torch")},
        **hardware("cpu"),
    }
    print(json.dumps(result))


def network(seed: int) -> nn.Module:
    """2,464 parameters, as in the zoos of Schürholt et al. (arXiv 2209.14764)."""
    torch.manual_seed(seed)
    convolutions = (nn.Conv2d(1, 8, 5), nn.Conv2d(8, 6, 5), nn.Conv2d(6, 4, 2))
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(36, 20), nn.Linear(20, 10))


def written(kind: str, seed: int) -> bytes:
    """A file of one kind."""
    model = network(seed)
    content: Any = model.state_dict()
    if kind != KINDS[0]:
        content = {"epoch": seed % 50, "loss": 1 / (seed + 1), "model": content}
    if kind == "with Adam":
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.zeros(1, 1, 12, 12)).sum().backward()
        optimizer.step()
        content["optimizer"] = optimizer.state_dict()
    if kind == "all different":
        content["path"] = f"runs/{seed * 7_919:09d}"
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def _measured(kind: str, files: int) -> dict[str, float]:
    """Files per second of both sides, which take turns; batch by batch, so that any number fits into memory."""
    sides: dict[str, Callable[[bytes], object]] = {
        "read_state": lambda data: read_state(data, ""),
        "read_shapes": lambda data: read_shapes(data, ""),
        "torch.load": lambda data: torch.load(io.BytesIO(data), weights_only=True),
    }
    spent = dict.fromkeys(sides, 0.0)
    file_bytes = 0
    for batch in _batches(kind, files):
        file_bytes = len(batch[0])
        for data in batch[:: BATCH_FILES // 5]:
            _compare(data)
        for side, read in sides.items():
            started = time.process_time()
            for data in batch:
                read(data)
            spent[side] += time.process_time() - started
    return {
        "file_bytes": file_bytes,
        **{f"{side}, files/s": round(files / seconds) for side, seconds in spent.items()},
        "times_faster": round(spent["torch.load"] / spent["read_state"], 1),
    }


def _batches(kind: str, files: int) -> Iterator[list[bytes]]:
    for start in range(0, files, BATCH_FILES):
        yield [written(kind, seed) for seed in range(start, min(files, start + BATCH_FILES))]


def _compare(data: bytes) -> None:
    """Hold the values of both sides against each other.

    Raises:
        RuntimeError: they differ.
    """
    loaded = torch.load(io.BytesIO(data), weights_only=True)
    theirs = loaded.get("model", loaded)
    ours = read_state(data, "").tensors
    if list(ours) != list(theirs) or not all(np.array_equal(ours[name], theirs[name].numpy()) for name in theirs):
        raise RuntimeError("the two sides read different values")


if __name__ == "__main__":
    main()
