"""Geometry over training: step length, curvature and smoothness at every epoch, over all models."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories import bag_geometry
from zoo_pipeline.trajectories.scenarios import KnownBag

Floats = NDArray[np.float64]
QUARTILES = (25, 50, 75)


@dataclass(frozen=True)
class Course:
    """Quartiles over the models at every epoch, float64[3, epochs + 1] each; NaN where a figure is not defined.

    Attributes:
        step_length: of the step into the epoch.
        curvature: Menger curvature at it.
        cosine: of the steps into and out of it; its mean along a trajectory is the trajectory's smoothness.
        smoothness: median of that mean.
        straightness: median of displacement / arc length.
    """

    step_length: Floats
    curvature: Floats
    cosine: Floats
    smoothness: float
    straightness: float

    @classmethod
    def of(cls, bag: KnownBag) -> Self:
        """Describe a bag along its true trajectories, which all have equally many checkpoints."""
        geometry = bag_geometry(bag.weights, bag.model_id, bag.epoch)
        paths = np.lexsort((bag.epoch, bag.model_id)).reshape(bag.models, -1)
        values = (geometry.step_length, geometry.curvature, np.cos(geometry.turning_angle))
        step_length, curvature, cosine = (_quartiles(value[paths]) for value in values)
        smoothness, straightness = np.median(geometry.smoothness), np.median(geometry.straightness)
        return cls(step_length, curvature, cosine, float(smoothness), float(straightness))

    def described(self) -> dict[str, object]:
        """Medians at the beginning, middle and end of training, and of whole trajectories."""
        inner = np.arange(1, self.cosine.shape[1] - 1)  # epochs at which all three are defined
        epochs = [int(inner[0]), int(inner[len(inner) // 2]), int(inner[-1])]
        courses = {"step_length": self.step_length, "curvature": self.curvature, "cosine": self.cosine}
        return {
            "epochs": epochs,
            **{name: [float(f"{course[1, epoch]:.4g}") for epoch in epochs] for name, course in courses.items()},
            "smoothness": round(self.smoothness, 4),
            "straightness": round(self.straightness, 4),
        }


def _quartiles(values: Floats) -> Floats:
    """Quartiles of each column of float64[models, epochs + 1]; of columns with NaN, NaN."""
    return np.asarray(np.percentile(values, QUARTILES, axis=0))
