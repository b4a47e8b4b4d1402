"""How weights start."""

from math import prod, sqrt

import torch
from torch import Tensor
from torch.nn import init

from zoo_pipeline.architecture import Architecture

BIAS = 0.01  # of every named initialisation, as the published zoos have it (arXiv 2209.14764)


def initialise(architecture: Architecture, initialisation: str, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw one model's epoch 0: every tensor of `architecture.tensors`, float32 on the CPU.

    "default" draws from the distributions of torch's own `nn.Linear` and `nn.Conv2d`; "uniform" is U(0, 1) and
    "normal" N(0, 1), as in the published zoos; kaiming and xavier are torch's with their default gain. BatchNorm starts
    at scale 1 and shift 0. The values depend on the generator alone.
    """
    weights = {}
    for name, shape in architecture.tensors.items():
        tensor = torch.empty(shape)
        norm = len(architecture.tensors[_weight_of(name)]) == 1
        if norm:
            init.constant_(tensor, 1.0 if name.endswith(".weight") else 0.0)
        elif name.endswith(".weight"):
            _draw_weight(tensor, initialisation, generator)
        elif initialisation == "default":
            fan_in = prod(architecture.tensors[_weight_of(name)][1:])
            init.uniform_(tensor, -1 / sqrt(fan_in), 1 / sqrt(fan_in), generator=generator)
        else:
            init.constant_(tensor, BIAS)
        weights[name] = tensor
    return weights


def _weight_of(name: str) -> str:
    """The name of the weight that a bias belongs to; of a weight, its own."""
    return f"{name.rpartition('.')[0]}.weight"


def _draw_weight(tensor: Tensor, initialisation: str, generator: torch.Generator) -> None:
    match initialisation:
        case "default":
            init.kaiming_uniform_(tensor, a=sqrt(5), generator=generator)
        case "uniform":
            init.uniform_(tensor, generator=generator)
        case "normal":
            init.normal_(tensor, generator=generator)
        case "kaiming_uniform":
            init.kaiming_uniform_(tensor, generator=generator)
        case "kaiming_normal":
            init.kaiming_normal_(tensor, generator=generator)
        case "xavier_uniform":
            init.xavier_uniform_(tensor, generator=generator)
        case "xavier_normal":
            init.xavier_normal_(tensor, generator=generator)
        case _:
            raise ValueError(f"initialisation: got {initialisation}")
