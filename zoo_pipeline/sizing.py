"""How many GPUs or CPUs a zoo takes, how long, with how much memory, and what it costs: arithmetic on a plan.

An estimate of training alone; the analysis comes on top. docs/operations.md works an example out step by step.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any

from zoo_pipeline.architecture import CNNS, RESNETS
from zoo_pipeline.computation import epoch_operations
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.plan import Plan, train_rows
from zoo_pipeline.task_memory import task_bytes

DEFAULT_HOURS = 24.0
RAY_BYTES = 2 << 30  # of a machine, for Ray and the system
# Operations per second that training makes of one core of a 2.8 GHz Xeon, and of one NVIDIA H200: the slowest that
# docs/results/training.md has of each kind of network. ResNets were not measured on a CPU: the GPU's share of what
# matrix products make there, taken of what they make here.
OPERATIONS_PER_S = {"mlp": (4e9, 2.2e12), "cnn": (3.5e9, 3.7e12), "resnet": (60e9, 24e12)}
MEASURED_ON = ("a core of a 2.8 GHz Xeon", "an NVIDIA H200")


@dataclass(frozen=True)
class Wish:
    """What is known or wanted of a cluster.

    Attributes:
        gpus: how many GPUs there are.
        cpus: how many CPUs there are.
        hours: in which training is to be done; without all three, in a day.
        rate: model-epochs per second of one GPU, or one CPU where tasks use no GPU, as measured; None: estimated.
        price: of an hour of one GPU or CPU.
        per_node: GPUs or CPUs of one machine.
    """

    gpus: int | None = None
    cpus: int | None = None
    hours: float | None = None
    rate: float | None = None
    price: float | None = None
    per_node: int = 8


def size(plan: Plan, wish: Wish) -> dict[str, Any]:
    """Work out what a plan takes.

    Raises:
        ConfigError: the wish contradicts itself or the plan, or cannot be fulfilled.
    """
    on_gpu = plan.config.resources.num_gpus > 0
    share = plan.config.resources.num_gpus if on_gpu else plan.config.resources.num_cpus
    device = "GPU" if on_gpu else "CPU"
    given = _given(wish, device)
    rate = wish.rate if wish.rate is not None else _estimated_rate(plan, on_gpu)
    work = plan.models * plan.epochs
    group_s = max(len(group.models) for group in plan.groups) * plan.epochs / (rate * share)
    if not _fitting(wish.per_node, share):
        raise ConfigError(f"--per-node {wish.per_node}: one task takes {share:g} {device}s of one machine (resources)")
    hours_given = DEFAULT_HOURS if wish.hours is None else wish.hours
    devices = given or _devices(plan, group_s, share, hours_given, wish.per_node)
    slots = min(_slots(devices, share, wish.per_node), len(plan.groups))
    if not slots:
        raise ConfigError(f"--{device.lower()}s {devices}: one task takes {share:g} (resources); use as many or more")
    waves = ceil(len(plan.groups) / slots)
    seconds = waves * group_s
    nodes = ceil(devices / wish.per_node)
    at_once = min(slots, _fitting(min(devices, wish.per_node), share))
    hours = seconds / 3600
    return {
        "device": device,
        "devices": devices,
        "model_epochs": work,
        "rate": rate,
        "rate_from": "measured" if wish.rate is not None else f"estimated from {MEASURED_ON[on_gpu]}",
        "operations_per_model_epoch": _operations(plan),
        "tasks_at_once": slots,
        "devices_at_work": ceil(slots * share - 1e-9),
        "groups": len(plan.groups),
        "group_s": group_s,
        "waves": waves,
        "seconds": seconds,
        "nodes": nodes,
        "per_node": wish.per_node,
        "task_bytes": task_bytes(plan),
        "tasks_per_node": at_once,
        "node_bytes": at_once * task_bytes(plan) + RAY_BYTES,
        "storage_bytes": plan.raw_bytes,
        "device_hours": devices * hours,
        "cost": None if wish.price is None else devices * hours * wish.price,
        "price": wish.price,
    }


def _given(wish: Wish, device: str) -> int | None:
    """How many devices there are, if that is said."""
    said = [name for name in ("gpus", "cpus", "hours") if getattr(wish, name) is not None]
    if len(said) > 1:
        raise ConfigError(f"--{said[0]} --{said[1]}: the one follows from the other; give one of them")
    if wish.gpus is not None and device == "CPU":
        raise ConfigError("--gpus: tasks of this configuration use none; add --set resources.num_gpus=1, or say --cpus")
    if wish.cpus is not None and device == "GPU":
        raise ConfigError("--cpus: tasks of this configuration use GPUs; say --gpus, or --set resources.num_gpus=0")
    return wish.gpus if device == "GPU" else wish.cpus


def _fitting(devices: int, share: float) -> int:
    """How many tasks fit on the devices of one machine."""
    return int(devices / share + 1e-9)


def _slots(devices: int, share: float, per_node: int) -> int:
    """How many tasks run at once: no task has devices of two machines."""
    machines, rest = divmod(devices, per_node)
    return machines * _fitting(per_node, share) + _fitting(rest, share)


def _devices(plan: Plan, group_s: float, share: float, hours: float, per_node: int) -> int:
    """As few as are done in time."""
    waves = int(hours * 3600 / group_s)
    if not waves:
        raise ConfigError(
            f"--hours {hours:g}: one group alone takes {group_s / 3600:,.2f} h, and groups are not shared out; allow "
            f"more, or use smaller groups (zoo.population.group_size, now {plan.config.zoo.population.group_size})"
        )
    machines, rest = divmod(ceil(len(plan.groups) / waves), _fitting(per_node, share))
    return machines * per_node + ceil(rest * share - 1e-9)


def _operations(plan: Plan) -> int:
    """Of the model-epoch that computes the most."""
    fraction = max(model.hyperparameters.data_fraction for group in plan.groups for model in group.models)
    return epoch_operations(plan.architecture, train_rows(plan.facts, fraction), plan.facts.test_rows)


def _estimated_rate(plan: Plan, on_gpu: bool) -> float:
    name = plan.architecture.name
    kind = "cnn" if name in CNNS else "resnet" if name in RESNETS else name
    return OPERATIONS_PER_S[kind][on_gpu] / _operations(plan)
