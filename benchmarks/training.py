"""How fast groups of models train, against Ray Tune, a plain PyTorch loop and JAX, all in one run.

python -m benchmarks.training --work digits --against tune,sequential,jax [--workers 1,2] [--storage]

Every side trains the same models on the same data in one process per core, each pinned to its core with one thread,
evaluates all training and test images before the first epoch and after each, and keeps every epoch's weights. Starting
processes, importing, loading the data, choosing how to compute and compiling are not timed; of Ray Tune only the start
of Ray is not, for what it does per trial is its way. Sides run alone, in turns, `--repeats` times (Ray Tune once), and
the fastest of each counts: what else the machine does can only slow it down.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch

from benchmarks.machine import Rates, hardware
from benchmarks.measured import Side, accuracies, fractions
from benchmarks.workers import Workers
from benchmarks.works import Work, chosen_work, works
from zoo_pipeline.data import Dataset
from zoo_pipeline.errors import ConfigError, ZooError

OPPONENTS = ("tune", "sequential", "jax")
LIBRARIES = {"tune": ("ray",), "sequential": (), "jax": ("jax", "jaxlib")}
TUNE_MODELS = 16


def main() -> int:
    """Measure, and print one JSON line last."""
    try:
        print(json.dumps(measure(_arguments().parse_args())))
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, as it goes into the JSON line.

    Raises:
        ConfigError: options that do not go together.
        DataError: the data are not there.
    """
    work = chosen_work(asked.work, asked.models, asked.epochs)
    against, workers = _checked(asked, work)
    dataset = work.dataset()
    sides, rates = _train(asked, work, dataset, against, workers)
    if "tune" in against:
        sides["tune"] = _tune(work, dataset, min(work.models, asked.tune_models), max(workers))
        _say("tune", sides["tune"])
    ours = sides["ours"]
    return {
        "work": work.name,
        "model_epochs_per_s": ours.model_epochs_per_s,
        **{f"ratio_{name}": _ratio(ours, sides.get(name)) for name in OPPONENTS},
        "accuracy": accuracies({name: sides[name] for name in ("ours", *OPPONENTS) if name in sides}),
        **fractions(work, ours.model_epochs_per_s, rates),
        "scaling": _scaling(sides, workers),
        "storage_overhead": _storage_overhead(sides),
        "sides": {name: side.described() for name, side in sides.items()},
        "repeats": asked.repeats,
        "device": asked.device,
        "hardware": hardware(asked.device),
        "versions": {
            name: version(name) for name in ("torch", "numpy", *(lib for side in against for lib in LIBRARIES[side]))
        },
    }


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.training", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", choices=works(), default="digits")
    parser.add_argument("--models", type=int, help="how many models to train; the work's own number by default")
    parser.add_argument("--epochs", type=int, help="how long; the work's own number by default")
    parser.add_argument("--against", type=_names, default=(), help=f"any of {','.join(OPPONENTS)}")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=3, help="of every side but Ray Tune; the fastest counts")
    parser.add_argument("--workers", type=_numbers, help="processes; several numbers (1,2) measure how it scales")
    parser.add_argument("--tune-models", type=int, default=TUNE_MODELS)
    parser.add_argument("--sequential-models", type=int, help="its time is proportional to them; a few by default")
    parser.add_argument("--storage", action="store_true", help="measure what writing the shards takes, too")
    return parser


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _checked(asked: argparse.Namespace, work: Work) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The opponents and the numbers of workers.

    Raises:
        ConfigError: they do not go together with the other options.
    """
    for name in asked.against:
        if name not in OPPONENTS:
            raise ConfigError(f"--against: got {name}, expected any of {','.join(OPPONENTS)}")
        for library in LIBRARIES[name]:
            if find_spec(library) is None:
                raise ConfigError(f"--against {name}: {library} is not installed; pip install '.[benchmarks]'")
    for option in ("repeats", "tune_models", "sequential_models"):
        if getattr(asked, option) is not None and getattr(asked, option) < 1:
            raise ConfigError(f"--{option.replace('_', '-')}: got {getattr(asked, option)}, expected 1 or more")
    if asked.storage and work.name != "digits":
        raise ConfigError(f"--storage: got --work {work.name}, expected digits, whose recipe is digits-demo")
    cores = len(os.sched_getaffinity(0))
    if asked.device == "cuda":
        refused = [name for name in asked.against if name != "sequential"]
        if refused or asked.storage:
            raise ConfigError(
                f"--device cuda: compares with sequential alone, got {', '.join(refused) or '--storage'}; "
                f"measure that on cpu"
            )
        if (asked.workers or (1,)) != (1,):
            given = ",".join(map(str, asked.workers))
            raise ConfigError(f"--workers: got {given}, expected 1 with --device cuda: one process has the GPU")
        if not torch.cuda.is_available():
            raise ConfigError("--device cuda: torch sees no GPU here; use --device cpu")
        return asked.against, (1,)
    workers = asked.workers or (cores,)
    if not all(1 <= number <= min(cores, work.models) for number in workers):
        raise ConfigError(
            f"--workers: got {','.join(map(str, workers))}, expected 1 to {min(cores, work.models)}: "
            f"each has a core ({cores} here) and a model ({work.models}) of its own"
        )
    return asked.against, workers


def _train(
    asked: argparse.Namespace, work: Work, dataset: Dataset, against: Sequence[str], workers: Sequence[int]
) -> tuple[dict[str, Side], list[Rates]]:
    """Train on every side but Ray Tune, in turns; and measure the machine."""
    most = max(workers)
    few = min(work.models, asked.sequential_models or work.few_models)
    wanted = {"ours": ("ours", work.models, most)}
    wanted |= {f"ours with {number}": ("ours", work.models, number) for number in workers if number != most}
    if "sequential" in against:
        wanted["sequential"] = ("sequential", max(few, most), most)
    if "jax" in against:
        wanted["jax"] = ("jax", work.models, most)
    if asked.storage:
        wanted |= {name: (name, work.models, most) for name in ("stored", "unstored")}
    sides = {}
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(Workers(side, work, dataset, models, number, asked.device))
            for name, (side, models, number) in wanted.items()
        }
        rates = pools["ours"].rates()
        passes = [{name: pool.train() for name, pool in pools.items()} for _ in range(asked.repeats)]
        for name, (_, models, number) in wanted.items():
            sides[name] = Side(
                models=models,
                epochs=work.hyperparameters.epochs,
                workers=number,
                seconds=[one[name].seconds for one in passes],
                test_accuracy=passes[0][name].test_accuracy,
                details={"choice": sorted(set(pools[name].choices))},
            )
            _say(name, sides[name])
    return sides, rates


def _tune(work: Work, dataset: Dataset, models: int, workers: int) -> Side:
    from benchmarks.opponents.tune import train_by_tune  # loads ray, which a GPU machine need not have

    run = train_by_tune(work, dataset, models, workers)
    epochs = work.hyperparameters.epochs
    details = {
        "files": run.files,
        "model_epochs_per_s_in_steps": round(models * epochs * workers / run.seconds_in_steps, 3),
    }
    return Side(models, epochs, workers, [run.seconds], run.test_accuracy, details)


def _ratio(ours: Side, other: Side | None) -> float | None:
    return None if other is None else round(ours.model_epochs_per_s / other.model_epochs_per_s, 3)


def _scaling(sides: Mapping[str, Side], workers: Sequence[int]) -> dict[str, float] | None:
    """Our model-epochs per second by number of workers, and the ratio of most to fewest; None where one was asked."""
    if len(workers) == 1:
        return None
    by_number = {side.workers: side.model_epochs_per_s for name, side in sides.items() if name.startswith("ours")}
    ratio = by_number[max(workers)] / by_number[min(workers)]
    return {**{str(number): by_number[number] for number in sorted(by_number)}, "ratio": round(ratio, 3)}


def _storage_overhead(sides: Mapping[str, Side]) -> float | None:
    if "stored" not in sides:
        return None
    return round(min(sides["stored"].seconds) / min(sides["unstored"].seconds) - 1, 4)


def _say(name: str, side: Side) -> None:
    print(
        f"{name}: {side.model_epochs_per_s:,.1f} model-epochs/s "
        f"({side.models:,} models × {side.epochs} epochs, {side.workers} workers, fastest of {len(side.seconds)}: "
        f"{min(side.seconds):.2f} s), test accuracy {side.test_accuracy.mean():.4f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
