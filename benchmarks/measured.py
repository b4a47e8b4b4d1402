"""What was measured of each side, and what it says: rates, accuracies and fractions of what the machine can do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import Rates
from benchmarks.works import Work, cost


@dataclass(frozen=True)
class Side:
    """One side of the comparison.

    Attributes:
        models: that it trained.
        epochs: of each.
        workers: processes.
        seconds: of each repeat.
        test_accuracy: of every model after the last epoch, float32[models].
        details: what else there is to say.
    """

    models: int
    epochs: int
    workers: int
    seconds: Sequence[float]
    test_accuracy: NDArray[np.float32]
    details: Mapping[str, Any]

    @property
    def model_epochs_per_s(self) -> float:
        """Of the fastest repeat."""
        return round(self.models * self.epochs / min(self.seconds), 3)

    def described(self) -> dict[str, Any]:
        """The side as it goes into the JSON line."""
        return {
            "models": self.models,
            "epochs": self.epochs,
            "workers": self.workers,
            "seconds": [round(second, 3) for second in self.seconds],
            "model_epochs_per_s": self.model_epochs_per_s,
            **self.details,
        }


def accuracies(sides: Mapping[str, Side]) -> dict[str, dict[str, float | None]]:
    """Final test accuracy of each side: its mean over models, the mean's standard error, and the distance from ours.

    The distance is in joint standard errors: about 1 where sides train alike; null where a side has a single model.
    """
    found: dict[str, dict[str, float | None]] = {}
    ours, our_error = _mean(sides["ours"].test_accuracy)
    for name, side in sides.items():
        mean, error = _mean(side.test_accuracy)
        joint = None if error is None or our_error is None else sqrt(error**2 + our_error**2)
        found[name] = {
            "mean": round(mean, 5),
            "standard_error": None if error is None else round(error, 5),
            "errors_from_ours": round((mean - ours) / joint, 2) if joint else None,
        }
    return found


def fractions(work: Work, model_epochs_per_s: float, rates: Sequence[Rates]) -> dict[str, Any]:
    """What a rate of training is worth on this machine, by the formulas of `benchmarks.works.Cost`.

    Args:
        work: what is trained.
        model_epochs_per_s: how fast.
        rates: what each process measured while the others did the same.

    Returns:
        `peak_fraction` (of the float32 matrix rate), `peak_fraction_tf32`, `copy_fraction` (of the copy bandwidth; the
        last two are null on a CPU), and the quantities that they are made of.
    """
    model_epoch = cost(work)
    flops = sum(rate.matrix_flops for rate in rates)
    tf32, copied = rates[0].matrix_flops_tf32, rates[0].copy_bytes_per_s
    flops_made = model_epochs_per_s * model_epoch.operations
    bytes_moved = model_epochs_per_s * model_epoch.traffic_bytes
    return {
        "peak_fraction": round(flops_made / flops, 4),
        "peak_fraction_tf32": round(flops_made / tf32, 4) if tf32 else None,
        "copy_fraction": round(bytes_moved / copied, 4) if copied else None,
        "machine": {"matrix_flops": flops, "matrix_flops_tf32": tf32, "copy_bytes_per_s": copied},
        "model_epoch": {"operations": model_epoch.operations, "traffic_bytes": model_epoch.traffic_bytes},
    }


def _mean(values: NDArray[np.float32]) -> tuple[float, float | None]:
    """Mean and its standard error; None of a single value."""
    error = float(values.std(ddof=1, dtype=np.float64)) / sqrt(len(values)) if len(values) > 1 else None
    return float(values.mean(dtype=np.float64)), error
