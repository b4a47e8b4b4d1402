"""Reading a run for learning against a file per checkpoint: random batches, and passes in order.

python -m benchmarks.dataset --rows N [--dimension 2464] [--folder DIR]

Makes a run of N checkpoints with the product's writer of shards, and files of single checkpoints, as `torch.save`
writes them, of a sample of the same rows; making them is not counted, but for the cache. One process, one thread.
Batches are of 512 rows drawn at random; both sides see the same ones, of the rows of the sample. `warm`: what was read
last is in the system's memory as far as it fits; `cold`: the system was asked to forget these files before. Passes are
told as MB of float32 per second of the processor and of the clock. One JSON line comes last.
"""

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from benchmarks.machine import hardware
from benchmarks.memory import Peak, peak_pss
from zoo_pipeline import Zoo, ZooDataset, ZooStream
from zoo_pipeline.digests import digest
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rows import RangeRows
from zoo_pipeline.store.schema import METRIC_NAMES, encode_checkpoints, encode_table
from zoo_pipeline.store.shards import shard_table

BATCH = 512
EPOCHS = 50  # checkpoints of a model
SHARD_BYTES = 256 << 20  # before compression, as the plan has it
SHUFFLED = 8_192  # rows that a stream shuffles together
COLUMNS = ("epoch", "test_accuracy")
SECONDS = 6.0  # that a rate is measured for, at most


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, required=True, help=f"checkpoints, a multiple of {EPOCHS}")
    parser.add_argument("--dimension", type=int, default=2_464)
    parser.add_argument("--sample", type=int, default=20_000, help="checkpoints that have files of their own")
    parser.add_argument("--folder", type=Path, help="where the files are made and removed; by default a temporary one")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=asked.folder)))
        print(json.dumps(measure(place, asked.rows // EPOCHS * EPOCHS, asked.dimension, asked.sample)))


def measure(place: Path, rows: int, dimension: int, sample: int) -> dict[str, Any]:
    """Both sides on a run that is made in a folder."""
    root, cache, files = str(place / "run"), place / "weights.cache", place / "files"
    make_run(root, rows, dimension)
    rng = np.random.default_rng(0)
    sampled = np.sort(rng.permutation(rows)[:sample])
    save_files(files, root, sampled)
    before, passes = Peak(), {}
    before.look()
    with peak_pss(0.02) as peak:  # before the cache is mapped, whose pages would count
        passes["stream"] = streamed(root, 0)
        passes["stream_shuffled"] = streamed(root, SHUFFLED)
    started = time.perf_counter()
    ZooDataset(root, COLUMNS, epochs=[0], cache=cache)
    cache_s = time.perf_counter() - started
    started = time.perf_counter()
    dataset = ZooDataset(root, COLUMNS, cache=cache)
    open_s = time.perf_counter() - started
    batches = [rng.choice(len(sampled), BATCH) for _ in range(4_000)]

    def ours(batch: NDArray[np.int64]) -> torch.Tensor:
        return dataset[sampled[batch]][0]

    def theirs(batch: NDArray[np.int64]) -> torch.Tensor:
        return torch.stack([torch.load(files / f"{at}.pt")["weights"] for at in batch.tolist()])

    assert torch.equal(ours(batches[0]), theirs(batches[0])), "both sides read the same values"
    row_bytes = 4 * dimension
    drop(cache)
    for path in files.iterdir():
        drop(path)
    cold = {"ours": rate(ours, batches, BATCH, 30), "files": rate(theirs, batches, BATCH, 30)}
    warm = {"ours": rate(ours, batches, BATCH), "files": rate(theirs, batches, BATCH)}
    everywhere = rate(lambda batch: dataset[batch][0], [rng.choice(rows, BATCH) for _ in range(4_000)], BATCH)
    passes["cache"] = passed(dataset[at : at + BATCH][0] for at in range(0, rows, BATCH))
    held = None
    if rows * row_bytes < 4e9:
        in_memory = ZooDataset(root, COLUMNS)
        held = rate(lambda batch: in_memory[batch][0], [rng.choice(rows, BATCH) for _ in range(4_000)], BATCH)
    return {
        "rows": rows,
        "dimension": dimension,
        "weights_bytes": rows * row_bytes,
        "run_bytes": sum(path.stat().st_size for path in Path(root).rglob("*") if path.is_file()),
        "sample": len(sampled),
        "cache_written_s": round(cache_s, 1),
        "opened_s": round(open_s, 2),
        "random_rows_per_s_cold": cold,
        "ratio_cold": round(cold["ours"] / cold["files"], 1),
        "random_rows_per_s_warm": warm,
        "ratio_warm": round(warm["ours"] / warm["files"], 1),
        "random_rows_per_s_of_all": everywhere,
        "random_rows_per_s_in_memory": held,
        "pass_mb_per_s": passes,
        "peak_pss_bytes_of_streams": peak.pss_bytes or None,
        "pss_bytes_before": before.pss_bytes or None,
        "versions": {name: version(name) for name in ("numpy", "torch", "pyarrow")},
        "hardware": hardware("cpu"),
        "load": os.getloadavg(),
    }


def make_run(root: str, rows: int, dimension: int) -> None:
    """A complete run of random walks, in shards as training writes them."""
    files, layout = Files(root), Layout.of({"fc.weight": (1, dimension)})
    spec = {"dataset": "random walks"}
    document = {"format_version": 1, "name": "walks", "spec_hash": digest(spec), "spec": spec}
    files.publish("spec.json", json.dumps(document).encode())
    models = rows // EPOCHS
    per_shard = max(1, min(models, SHARD_BYTES // (4 * dimension * EPOCHS)))
    lines = []
    for group, first in enumerate(range(0, models, per_shard)):
        ids = np.arange(first, min(models, first + per_shard), dtype=np.int32)
        data = encode_checkpoints(_table(ids, layout, {"group": group, "spec_hash": digest(spec), "diverged": []}))
        name = f"checkpoints/group-{group:05d}.parquet"
        files.publish(name, data)
        lines.append(_line(data, len(ids) * EPOCHS) | {"shard": name, "group": group})
    described = {"model_id": pa.array(range(models), pa.int32()), "split": ["train"] * models}
    table = encode_table(pa.table(described))
    files.publish("models.parquet", table)
    manifest = {"format_version": 1, "shards": lines, "models": _line(table, models)}
    files.publish("manifest.json", json.dumps(manifest).encode())


def save_files(folder: Path, root: str, sampled: NDArray[np.int64]) -> None:
    """Each of these rows by itself, as scripts keep checkpoints."""
    folder.mkdir()
    shards, first, number = Zoo(root).shards, 0, 0
    for vectors in shards.read_vectors(shards.row_groups()):
        for at in sampled[(sampled >= first) & (sampled < first + len(vectors))].tolist():
            torch.save({"weights": torch.from_numpy(vectors[at - first].copy())}, folder / f"{number}.pt")
            number += 1
        first += len(vectors)
    os.sync()


def drop(path: Path) -> None:
    """Ask the system to forget a file's pages."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rate(
    read: Callable[[NDArray[np.int64]], torch.Tensor], batches: list[NDArray[np.int64]], rows: int, most: int = 10**9
) -> int:
    """Rows per second over batches, for some seconds."""
    started, count = time.perf_counter(), 0
    for batch in batches[:most]:
        read(batch)
        count += 1
        if time.perf_counter() - started > SECONDS:
            break
    return round(rows * count / (time.perf_counter() - started))


def passed(batches: Iterator[torch.Tensor]) -> dict[str, int]:
    """MB of float32 per second of this process's processor time, and of the clock, over all batches."""
    started, used, size = time.perf_counter(), time.process_time(), 0
    for weights in batches:
        size += weights.nbytes
    processor, clock = time.process_time() - used, time.perf_counter() - started
    return {"processor": round(size / 1e6 / processor), "clock": round(size / 1e6 / clock)}


def streamed(root: str, shuffle_rows: int) -> dict[str, int]:
    """The rates of a stream in batches, without workers."""
    stream = ZooStream(root, COLUMNS, batch_size=BATCH, shuffle_rows=shuffle_rows)
    return passed(weights for weights, _ in stream)


def _table(ids: NDArray[np.int32], layout: Layout, footer: dict[str, Any]) -> pa.Table:
    generator = np.random.default_rng(int(ids[0]))
    rows = RangeRows(len(ids), 0, EPOCHS, layout.dimension)
    weights = generator.standard_normal((len(ids), layout.dimension), np.float32)
    for epoch in range(EPOCHS):
        weights = weights + np.float32(0.05) * generator.standard_normal(weights.shape, np.float32)
        rows.add(epoch * 100, weights, {name: generator.random(len(ids), np.float32) for name in METRIC_NAMES})
    return shard_table(ids, rows, layout, {**footer, "rows": len(ids) * EPOCHS})


def _line(data: bytes, rows: int) -> dict[str, Any]:
    return {"rows": rows, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


if __name__ == "__main__":
    main()
