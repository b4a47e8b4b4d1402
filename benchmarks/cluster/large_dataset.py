"""What a large dataset takes of the driver: handed over by it, and read by a worker."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

IMAGES, TEST_IMAGES, SHAPE = 110_000, 10_000, (3, 32, 32)
SETTINGS = (
    "zoo.training.epochs=1",
    "zoo.training.batch_size=1000",
    "zoo.population.seeds=2",
    "zoo.model={architecture: mlp, hidden: [8]}",
)
_SIDES = {"handed_over": 1 << 60, "read_by_a_worker": 0}  # bytes up to which the driver hands a dataset over
_POLL_S = 0.1


def measure_large_dataset(folder: Path) -> dict[str, Any]:
    """Train two small models in either way; returns the JSON line's figures, in MiB."""
    random = np.random.default_rng(0)
    images = random.integers(256, size=(IMAGES, *SHAPE), dtype=np.uint8)
    labels = np.arange(IMAGES) % 10
    train, test = slice(TEST_IMAGES, None), slice(0, TEST_IMAGES)
    dataset = folder / "mine.npz"
    np.savez(
        dataset,
        train_images=images[train], train_labels=labels[train], test_images=images[test], test_labels=labels[test],
    )  # fmt: skip
    sides = {name: _run(folder / name, dataset, most) for name, most in _SIDES.items()}
    return {"images": IMAGES, "shape": SHAPE, "float32_mib": images.size * 4 >> 20, **sides}


def _run(out: Path, dataset: Path, most_bytes: int) -> dict[str, Any]:
    """One training; the driver's memory at its peak, and the most of its own and of shared pages while groups train."""
    program = (
        f"import sys; from zoo_pipeline import workflow; workflow.HANDED_OVER_BYTES = {most_bytes}; "
        f"from zoo_pipeline.cli import main; sys.exit(main())"
    )
    words = [word for setting in (*SETTINGS, f"zoo.dataset={dataset}") for word in ("--set", setting)]
    started = time.monotonic()
    driver = subprocess.Popen(
        [sys.executable, "-c", program, "train", "digits-demo", "--out", str(out), "--ray-address", "local", *words],
        stdout=sys.stderr,
    )
    peak = own = shared = 0
    while driver.poll() is None:
        if (said := _status(driver.pid)) is not None:
            peak = max(peak, said["VmHWM"])
            if (out / "engine.json").exists():  # groups train from here on
                own, shared = max(own, said["RssAnon"]), max(shared, said["RssShmem"])
        time.sleep(_POLL_S)
    if driver.returncode:
        raise RuntimeError(f"{out.name}: ended with exit code {driver.returncode}")
    wall_s = round(time.monotonic() - started, 1)
    return {"peak_mib": peak >> 10, "own_mib": own >> 10, "shared_mib": shared >> 10, "wall_s": wall_s}


def _status(process: int) -> dict[str, int] | None:
    """Figures of a process in KiB; None where it has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return None
    found = {name: text for name, _, text in (line.partition(":") for line in lines)}
    names = ("VmHWM", "RssAnon", "RssShmem")
    return {name: int(found[name].split()[0]) for name in names} if found.keys() >= set(names) else None
