"""Dropout whose masks follow from a model's seed, whatever the device and the models beside it."""

from math import prod

import torch
from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch

_GOLDEN = -1_640_531_527  # 2³² / golden ratio, as int32


class Dropout:
    """Silences units of [models, …] with each model's own probability, and scales the others up (inverted dropout).

    A mask is a hash of a key per model (from its seed and the epoch), the step, the layer and the unit's number: the
    same for a model alone or in a stack, on a CPU or a GPU, and when training goes on from a saved state.
    """

    def __init__(self, number: int, probability: Tensor, scratch: Scratch) -> None:
        self._name = f"dropout{number}"
        self._number = number
        self._keep = 1 - probability
        self._scratch = scratch
        self.key = torch.zeros(len(probability), dtype=torch.int32, device=probability.device)

    def forward(self, values: Tensor) -> Tensor:
        """The inputs, masked and scaled; not in place, because the activation before needs its outputs again."""
        units = prod(values.shape[1:])
        number = torch.arange(units, dtype=torch.int32, device=values.device)
        key = _mix(self.key + self._number)
        bits = _mix(number[None, :] * _GOLDEN + key[:, None])
        # The upper 24 bits as a fraction of 1.
        kept = ((bits >> 8) & 0xFFFFFF).float().mul_(2**-24) < self._keep[:, None]
        self._mask = torch.where(kept, 1 / self._keep[:, None], 0.0).view(values.shape)
        outputs = self._scratch.get(f"{self._name}.outputs", *values.shape)
        return torch.mul(values, self._mask, out=outputs)

    def infer(self, values: Tensor) -> Tensor:
        """The inputs as they are."""
        return values

    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of the inputs, in place."""
        return gradient.mul_(self._mask)


def step_keys(epoch_keys: Tensor, steps: int) -> Tensor:
    """Keys int32[steps, models] for the steps of an epoch, from the epoch's own int32[models]."""
    step = torch.arange(steps, dtype=torch.int32, device=epoch_keys.device)
    return _mix(epoch_keys[None, :] + step[:, None])


def _mix(bits: Tensor) -> Tensor:
    """A hash of 32 bits in which every bit depends on all (the finaliser "lowbias32" of C. Wellons)."""
    bits = bits ^ ((bits >> 16) & 0xFFFF)
    bits = bits * 0x7FEB352D
    bits = bits ^ ((bits >> 15) & 0x1FFFF)
    bits = bits * -2_073_254_261  # 0x846CA68B
    return bits ^ ((bits >> 16) & 0xFFFF)
