"""Learning rates over training, for models that each have a schedule of their own."""

from collections.abc import Sequence
from math import cos, pi

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.hyperparameters import Hyperparameters

# The defaults of torch's OneCycleLR.
_WARM_SHARE, _START_DIVISOR, _END_DIVISOR = 0.3, 25.0, 1e4
_LEAST_MOMENTUM, _MOST_MOMENTUM = 0.85, 0.95
_BETA1 = 0.9  # of torch's Adam


def learning_rates(members: Sequence[Hyperparameters], epoch: int, steps: int) -> NDArray[np.float64]:
    """The learning rate of every step of one epoch.

    constant; cosine: torch's CosineAnnealingLR over all epochs, stepped by epoch; step: torch's StepLR; onecycle:
    torch's OneCycleLR with its defaults, stepped by optimiser step.

    Args:
        members: one per model.
        epoch: from 1.
        steps: optimiser steps of an epoch.

    Returns:
        float64[steps, models].
    """
    return np.stack([_rates(member, epoch, steps) for member in members], axis=1)


def cycled_momenta(members: Sequence[Hyperparameters], epoch: int, steps: int) -> NDArray[np.float64]:
    """The momentum of sgd and rmsprop, or Adam's first beta, of every step of one epoch: float64[steps, models].

    OneCycle moves it against the learning rate; elsewhere it is the model's momentum, or Adam's usual 0.9.
    """
    return np.stack([_momenta(member, epoch, steps) for member in members], axis=1)


def _momenta(member: Hyperparameters, epoch: int, steps: int) -> NDArray[np.float64]:
    if member.schedule == "onecycle":
        shares = _cycle(member.epochs * steps, _first(epoch, steps), steps)
        return _anneal(shares, _MOST_MOMENTUM, _LEAST_MOMENTUM, _MOST_MOMENTUM)
    return np.full(steps, _BETA1 if member.optimizer in ("adam", "adamw") else member.momentum)


def _rates(member: Hyperparameters, epoch: int, steps: int) -> NDArray[np.float64]:
    rate = member.learning_rate
    match member.schedule:
        case "constant":
            factor = 1.0
        case "cosine":
            factor = (1 + cos(pi * (epoch - 1) / member.epochs)) / 2
        case "step":
            factor = member.schedule_factor ** ((epoch - 1) // member.schedule_epochs)
        case "onecycle":
            start = rate / _START_DIVISOR
            shares = _cycle(member.epochs * steps, _first(epoch, steps), steps)
            return _anneal(shares, start, rate, start / _END_DIVISOR)
        case _:
            raise ValueError(f"schedule: got {member.schedule}")
    return np.full(steps, rate * factor)


def _first(epoch: int, steps: int) -> int:
    """The number of an epoch's first step, counted from 0 over all of training."""
    return (epoch - 1) * steps


def _cycle(total: int, first: int, steps: int) -> NDArray[np.float64]:
    """Where steps stand in the cycle: 0 to 1 while the rate rises, 1 to 2 while it falls."""
    step = np.arange(first, first + steps, dtype=np.float64)
    turn = _WARM_SHARE * total - 1
    rising = step / turn if turn > 0 else np.full(steps, 2.0)
    falling = 1 + (step - turn) / (total - 1 - turn)
    return np.where(step <= turn, rising, falling)


def _anneal(shares: NDArray[np.float64], start: float, middle: float, end: float) -> NDArray[np.float64]:
    """From start to middle to end, by half cosines."""
    rising = middle + (start - middle) / 2 * (1 + np.cos(pi * shares))
    falling = end + (middle - end) / 2 * (1 + np.cos(pi * (shares - 1)))
    return np.where(shares <= 1, rising, falling)
