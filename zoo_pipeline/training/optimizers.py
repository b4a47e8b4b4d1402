"""Torch's optimisers for stacked models, each with rates and decays of its own.

The formulas and the order of operations are those of `torch.optim` (single tensors, its defaults); a test holds every
step against it. A step is a handful of passes over the one buffer that `Parameters` keeps.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.training.parameters import Parameters
from zoo_pipeline.training.schedules import cycled_momenta, learning_rates

_BETA2, _EPSILON = 0.999, 1e-8  # Adam's
_ALPHA = 0.99  # RMSprop's


class Optimizer(Protocol):
    """An optimiser of stacked models.

    Attributes:
        memory: what it keeps between steps, by name, in buffers like `Parameters.values`.
    """

    memory: dict[str, Tensor]

    def coefficients(self, epoch: int, steps: int) -> Tensor:
        """The numbers that every step of an epoch (from 1) needs: float32[steps, numbers, models, 1], on the device."""
        ...

    def step(self, coefficients: Tensor) -> None:
        """Move the weights by their gradients, with the coefficients float32[numbers, models, 1] of this step."""
        ...


def optimizer_for(parameters: Parameters, members: Sequence[Hyperparameters]) -> Optimizer:
    """The optimiser that all members share by name."""
    if members[0].optimizer in ("adam", "adamw"):
        return _Adam(parameters, members)
    if members[0].optimizer == "rmsprop":
        return _RmsProp(parameters, members)
    return _Sgd(parameters, members)


class _Base:
    """What the optimisers share: the members, the buffers' views, and L2 decay."""

    def __init__(self, parameters: Parameters, members: Sequence[Hyperparameters], memory: Sequence[str]) -> None:
        # Most zoos have far fewer schedules than models, and numbers for all steps take a while to work out.
        self._distinct = list(dict.fromkeys(members))
        numbers = {member: number for number, member in enumerate(self._distinct)}
        self._which = np.array([numbers[member] for member in members])
        self._parameters = parameters
        self._device = parameters.values.device
        self.memory = {name: torch.zeros_like(parameters.values) for name in memory}
        self._kept = {name: parameters.matrices(flat) for name, flat in self.memory.items()}
        self._values = parameters.matrices(parameters.values)
        self._gradients = parameters.matrices(parameters.gradients)
        decay = torch.tensor([[member.weight_decay] for member in members], device=self._device)
        self._decay = decay if any(member.weight_decay for member in members) else None

    def _add_decay(self) -> None:
        if self._decay is not None:
            for gradient, values in zip(self._gradients, self._values, strict=True):
                gradient.addcmul_(values, self._decay)

    def _on_device(self, *numbers: np.ndarray) -> Tensor:
        """Numbers float64[steps, distinct members] as `coefficients`."""
        stacked = np.stack(numbers, axis=1).astype(np.float32)[:, :, self._which, None]
        return torch.from_numpy(stacked).to(self._device)


class _Moving(_Base):
    """What sgd and rmsprop share: steps that may have momentum."""

    def __init__(self, parameters: Parameters, members: Sequence[Hyperparameters], memory: Sequence[str] = ()) -> None:
        self._moving = any(member.momentum or member.schedule == "onecycle" for member in members)
        super().__init__(parameters, members, [*memory, *(["momentum"] if self._moving else [])])

    def coefficients(self, epoch: int, steps: int) -> Tensor:
        rates, momenta = learning_rates(self._distinct, epoch, steps), cycled_momenta(self._distinct, epoch, steps)
        return self._on_device(-rates, momenta)

    def _move(self, moves: list[Tensor], coefficients: Tensor) -> None:
        """Step along `moves`, and along what is kept of earlier ones."""
        minus_rate, momentum = coefficients.unbind()
        if self._moving:
            for kept, move in zip(self._kept["momentum"], moves, strict=True):
                kept.mul_(momentum).add_(move)
            moves = self._kept["momentum"]
        for values, move in zip(self._values, moves, strict=True):
            values.addcmul_(move, minus_rate)


class _Sgd(_Moving):
    def step(self, coefficients: Tensor) -> None:
        self._add_decay()
        self._move(self._gradients, coefficients)


class _RmsProp(_Moving):
    def __init__(self, parameters: Parameters, members: Sequence[Hyperparameters]) -> None:
        super().__init__(parameters, members, ["squares"])
        self._scratch = torch.empty_like(parameters.values)
        self._moves = parameters.matrices(self._scratch)

    def step(self, coefficients: Tensor) -> None:
        self._add_decay()
        gradients, squares = self._parameters.gradients, self.memory["squares"]
        squares.mul_(_ALPHA).addcmul_(gradients, gradients, value=1 - _ALPHA)
        torch.sqrt(squares, out=self._scratch)
        torch.div(gradients, self._scratch.add_(_EPSILON), out=self._scratch)
        self._move(self._moves, coefficients)


class _Adam(_Base):
    """Adam, and AdamW where the members say so: its decay shrinks the weights apart from the gradient."""

    def __init__(self, parameters: Parameters, members: Sequence[Hyperparameters]) -> None:
        super().__init__(parameters, members, ["first_moment", "second_moment"])
        self._scratch = torch.empty_like(parameters.values)
        self._moves = parameters.matrices(self._scratch)
        self._decoupled = members[0].optimizer == "adamw" and self._decay is not None
        self._cycled = any(member.schedule == "onecycle" for member in members)

    def coefficients(self, epoch: int, steps: int) -> Tensor:
        rates, betas = learning_rates(self._distinct, epoch, steps), cycled_momenta(self._distinct, epoch, steps)
        decays = np.array([member.weight_decay for member in self._distinct])
        taken = np.arange((epoch - 1) * steps + 1, epoch * steps + 1)[:, None]
        root = np.sqrt(1 - _BETA2**taken)  # of the second moment's bias correction
        # rate · m̂ / (√v̂ + ε) = rate · root / (1 − β₁ᵗ) · m / (√v + ε · root)
        return self._on_device(
            -rates * root / (1 - betas**taken),
            np.broadcast_to(_EPSILON * root, rates.shape),
            1 - betas,
            1 - rates * decays,
        )

    def step(self, coefficients: Tensor) -> None:
        minus_rate, epsilon, share, shrink = coefficients.unbind()
        if self._decoupled:
            for values in self._values:
                values.mul_(shrink)
        else:
            self._add_decay()
        gradients, first, second = self._parameters.gradients, self.memory["first_moment"], self.memory["second_moment"]
        if self._cycled:
            for moment, gradient in zip(self._kept["first_moment"], self._gradients, strict=True):
                moment.lerp_(gradient, share)
        else:
            first.lerp_(gradients, 0.1)
        second.mul_(_BETA2).addcmul_(gradients, gradients, value=1 - _BETA2)
        torch.sqrt(second, out=self._scratch).add_(epsilon[0, 0])
        torch.div(first, self._scratch, out=self._scratch)
        for values, move in zip(self._values, self._moves, strict=True):
            values.addcmul_(move, minus_rate)
