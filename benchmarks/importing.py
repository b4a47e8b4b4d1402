"""Import of a published kind of tree, one small file per checkpoint, against a loop of `torch.load`.

python -m benchmarks.importing --files N [--data DIR]

The files are those of Ray Tune trials: state_dicts of CNN-s (2,464 weights), `params.json` and `result.json` for every
50 of them. Making them is not counted. Both sides read the same files with as many processes, one after the other, the
loop first, so that the files are in the system's cache for both; the loop only loads, while the import looks at each
file, reads it and writes the run. Ray and its workers are started before.
"""

import argparse
import json
import os
import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import hardware
from benchmarks.memory import peak_pss
from zoo_pipeline.architecture import Architecture
from zoo_pipeline.config import Resources
from zoo_pipeline.importing.origins import find_origin
from zoo_pipeline.runtime.importing import import_files
from zoo_pipeline.runtime.opening import open_executor
from zoo_pipeline.zoo import Zoo

EPOCHS = 50
SEED = 0


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, required=True)
    parser.add_argument("--data", type=Path, help="folder that keeps the tree; by default a temporary one")
    asked = parser.parse_args()
    workers = os.cpu_count() or 1
    with ExitStack() as stack:
        folder = asked.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tree = folder / f"tree-{asked.files}"
        if not tree.exists():
            _make(tree, asked.files, workers)
        paths = sorted(str(path) for path in tree.rglob("checkpoints"))
        loop_s = _loop(paths, workers)
        out = stack.enter_context(tempfile.TemporaryDirectory())
        with open_executor("ray", Resources(), "local") as executor, peak_pss() as peak:
            list(executor.map_unordered(_warm, list(range(4 * workers))))
            report = import_files(executor, [find_origin(str(tree), str(tree))], f"{out}/run")
        run = Zoo(f"{out}/run")
        some = np.random.default_rng(SEED).choice(len(paths), min(100, len(paths)), replace=False)
        _check(run, [paths[at] for at in some])
        result: dict[str, Any] = {
            "files": len(paths),
            "dimension": run.layout.dimension,
            "workers": workers,
            "import_s": round(report.wall_s, 2),
            "loop_s": round(loop_s, 2),
            "files_per_s": round(len(paths) / report.wall_s),
            "loop_files_per_s": round(len(paths) / loop_s),
            "ratio": round(loop_s / report.wall_s, 2),
            "peak_pss_bytes": peak.pss_bytes,
            "bytes_before": _bytes(tree),
            "disk_before": _bytes(tree, blocks=True),
            "bytes_after": _bytes(Path(run.root)),
            "files_after": sum(1 for path in Path(run.root).rglob("*") if path.is_file()),
            "versions": {name: version(name) for name in ("torch", "numpy", "pyarrow", "ray")},
            "hardware": hardware("cpu"),
            "load": os.getloadavg(),
        }
    print(json.dumps(result))


def _make(tree: Path, files: int, workers: int) -> None:
    trials = -(-files // EPOCHS)
    with get_context("spawn").Pool(workers) as pool:
        pool.starmap(_trial, [(tree, trial, min(EPOCHS, files - trial * EPOCHS)) for trial in range(trials)], 8)


def _trial(tree: Path, trial: int, epochs: int) -> None:
    torch.set_num_threads(1)
    shapes = Architecture(name="cnn-s", input_shape=(1, 28, 28), classes=10).tensors
    generator = torch.Generator().manual_seed(trial)
    place = tree / f"NN_tune_trainable_{trial:05d}"
    lines = []
    for epoch in range(epochs):
        folder = place / f"checkpoint_{epoch:06d}"
        folder.mkdir(parents=True)
        state = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        torch.save(state, folder / "checkpoints")
        lines.append(json.dumps({"training_iteration": epoch, "train_loss": 1 / (epoch + 1), "test_acc": epoch / 100}))
    (place / "params.json").write_text(json.dumps({"optim::lr": 1e-3, "model::nlin": "tanh", "seed": trial}))
    (place / "result.json").write_text("\n".join(lines) + "\n")


def _loop(paths: list[str], workers: int) -> float:
    """Seconds that processes take which load all files, each a part; their start is not counted."""
    with get_context("spawn").Pool(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        pool.map(_load, [paths[:10]] * workers)
        started = time.perf_counter()
        pool.map(_load, [paths[at::workers] for at in range(workers)], 1)
        return time.perf_counter() - started


def _load(paths: list[str]) -> int:
    return sum(len(torch.load(path, weights_only=True)) for path in paths)


def _warm(_item: int, *, device: str) -> str:
    time.sleep(0.5)  # so that no worker takes two
    import zoo_pipeline.importing.group  # noqa: F401

    return device


def _check(run: Zoo, paths: list[str]) -> None:
    """Some rows are the files' values to the bit."""
    names = {name: model_id for model_id, name in (run.claimed_names or {}).items()}
    for path in paths:
        place = Path(path)
        row = run.weights([names[place.parts[-3]]], [int(place.parts[-2].rpartition("_")[2])])
        state = {name: values.numpy() for name, values in torch.load(path, weights_only=True).items()}
        np.testing.assert_array_equal(row[0], run.layout.flatten(state, np.empty_like(row[0])))


def _bytes(folder: Path, *, blocks: bool = False) -> int:
    stats = [path.lstat() for path in folder.rglob("*")]
    return sum(512 * each.st_blocks if blocks else each.st_size for each in stats)


if __name__ == "__main__":
    main()
