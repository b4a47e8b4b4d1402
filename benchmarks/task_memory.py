"""The memory of training tasks, estimated by `zoo_pipeline.task_memory` and as it was: whole groups, trained for real.

python -m benchmarks.task_memory [CASE …]

Each case trains the first group of its zoo in a process of its own that has loaded what a worker of Ray has. Its peak
is the largest resident set of that process, shared libraries included. Images are made up where MNIST's are not needed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cluster.processes import peak_bytes
from benchmarks.machine import hardware
from zoo_pipeline.runtime import group_task
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.runtime.training import train_zoo
from zoo_pipeline.store.rundir import ENGINE
from zoo_pipeline.task_memory import task_bytes
from zoo_pipeline.workflow import Options, prepare

TINY, SMALL, LARGE = "tiny.npz", "small.npz", "large.npz"  # images like CIFAR-10's
ROWS = {TINY: (128, 16), SMALL: (256, 64), LARGE: (20_000, 4_000)}  # for training and testing
_RESNET = (
    "zoo.model={architecture: resnet-18, activation: relu}",
    f"zoo.dataset={TINY}",
    "resources={stack: 1, threads: 1}",
)
_RESNET_SGD = "zoo.training={optimizer: sgd, learning_rate: 0.05, momentum: 0.9, batch_size: 128, epochs: 1}"


def _models(number: int) -> tuple[str, str]:
    return f"zoo.population.seeds={number}", f"zoo.population.group_size={number}"


CASES = {
    "digits, 16 models": ("zoo.training.epochs=2",),
    "digits, 1,024 models": (*_models(1024),),
    "digits, 1,024 models with noisy labels": (
        *_models(1024),
        "zoo.training.epochs=4",
        "zoo.training.label_noise=0.1",
        "resources={stack: 128, threads: 1}",
    ),
    "tetris, 2,000 models": (
        "zoo.dataset=tetris",
        "zoo.model={architecture: mlp, hidden: [5], bias: false}",
        *_models(2000),
    ),
    "MLP 3072-16-10 on 24,000 images": (f"zoo.dataset={LARGE}", "zoo.training.epochs=1", *_models(4)),
    "CNN-s, 64 models, batch 64": (
        f"zoo.dataset={SMALL}",
        "zoo.model={architecture: cnn-s, image_side: 28}",
        "zoo.training.epochs=1",
        *_models(64),
    ),
    "CNN-s, 250 models, batch 10": (
        f"zoo.dataset={SMALL}",
        "zoo.model={architecture: cnn-s, image_side: 28, activation: gelu}",
        "zoo.training.epochs=1",
        "zoo.training.batch_size=10",
        *_models(250),
    ),
    "CNN-l, 64 models, batch 10": (
        f"zoo.dataset={SMALL}",
        "zoo.model={architecture: cnn-l, activation: gelu}",
        "zoo.training.epochs=1",
        "zoo.training.batch_size=10",
        *_models(64),
    ),
    "ResNet-18, 1 model, batch 128": (*_RESNET, _RESNET_SGD, *_models(1)),
    "ResNet-18, 4 models, batch 32": (*_RESNET, _RESNET_SGD, "zoo.training.batch_size=32", *_models(4)),
}
SAVED = "ResNet-18, 2 models, batch 32, states saved"  # after every epoch
CASES[SAVED] = (*_RESNET, _RESNET_SGD, "zoo.training.batch_size=32", "zoo.training.epochs=2", *_models(2))
MNIST = {  # where ZOO_DATA_DIR has the images
    "mnist-a1": ("mnist-a1", "zoo.training.epochs=3"),
    "mnist-a1, 256 models": ("mnist-a1", "zoo.training.epochs=3", *_models(256)),
}


def main() -> None:
    """Measure, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="which; all without")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("--data-dir", type=Path, help="holds mnist/; without it, cases on MNIST are left out")
    given = parser.parse_args()
    if given.one is not None:
        print(json.dumps(_measure(given.one, given.data_dir)))
        return
    cases = given.cases or [*CASES, *(MNIST if given.data_dir else ())]
    found = {}
    for case in cases:
        one = found[case] = measured_apart(case, given.data_dir)
        told = f"{one['estimate_mib']} MiB estimated, {one['peak_mib']} MiB measured, {one['ratio']}"
        print(f"{case}: {told}, {one['stack']} at once", flush=True)
    ratios = [one["ratio"] for one in found.values()]
    print(json.dumps({**hardware("cpu"), "cases": found, "least": min(ratios), "largest": max(ratios)}))


def measured_apart(case: str, data_dir: Path | None = None) -> dict[str, Any]:
    """Measure a case in a new process, in a new directory."""
    command = [sys.executable, "-m", "benchmarks.task_memory", "--one", case]
    command += ["--data-dir", str(data_dir)] if data_dir else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    one: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return one


def _measure(case: str, data_dir: Path | None) -> dict[str, Any]:
    """Train the first group of a case here."""
    import ray  # noqa: F401  (a worker has it loaded)

    recipe, *overrides = MNIST.get(case) or ("digits-demo", *CASES[case])
    if case == SAVED:
        group_task.STATE_EVERY_EPOCHS = 1
    with tempfile.TemporaryDirectory() as folder:
        for name, (train, test) in ROWS.items():
            if f"zoo.dataset={name}" in overrides:
                _images(Path(folder) / name, train, test)
        overrides = [
            text.replace("zoo.dataset=", f"zoo.dataset={folder}/") if ".npz" in text else text for text in overrides
        ]
        options = Options(recipe, f"{folder}/run", tuple(overrides), data_dir, executor="inline")
        plan, dataset, run = prepare(options)
        run.claim(plan)
        train_zoo(replace(plan, groups=plan.groups[:1]), dataset, run, InlineExecutor(plan.config.resources))
        stack = json.loads(run.files.read(ENGINE))["stack"]
    peak = peak_bytes()  # not that of getrusage, which a process inherits from the one that started it
    estimate = task_bytes(plan)
    return {
        "estimate_mib": estimate >> 20,
        "peak_mib": peak >> 20,
        "ratio": round(estimate / peak, 2),
        "stack": stack,
    }


def _images(path: Path, train: int, test: int) -> None:
    """Noise of the size of CIFAR-10's images."""
    generator = np.random.default_rng(0)
    train_images, test_images = (generator.integers(256, size=(n, 3, 32, 32), dtype=np.uint8) for n in (train, test))
    np.savez(
        path,
        train_images=train_images,
        train_labels=np.arange(train) % 10,
        test_images=test_images,
        test_labels=np.arange(test) % 10,
    )


if __name__ == "__main__":
    main()
