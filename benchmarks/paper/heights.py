"""Heights: how far trajectories are apart, how far one step goes, and the teeth that both make in a dendrogram."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from zoo_pipeline.report.dendrogram import leaf_profile
from zoo_pipeline.trajectories.distances import cosine_distances
from zoo_pipeline.trajectories.exchange import split_weights
from zoo_pipeline.trajectories.ordering import euclidean_distances
from zoo_pipeline.trajectories.scenarios import KnownBag

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Dendrogram:
    """A single-linkage tree, leaf by leaf.

    Attributes:
        metric: of the distances.
        leaves: int64[n], rows of the bag in dendrogram order.
        heights: float64[n − 1], where each leaf meets the next.
        steps: float64[models, epochs], the distance of every two consecutive checkpoints.
        between: float64, heights at which leaves of two trajectories meet.
    """

    metric: str
    leaves: Ints
    heights: Floats
    steps: Floats
    between: Floats

    @classmethod
    def of(cls, bag: KnownBag, metric: str) -> "Dendrogram":
        """Build the tree of a bag whose models all have equally many checkpoints.

        Args:
            bag: of n rows.
            metric: "euclidean", of the weights as the paper has it, or "cosine", of what the recovery compares.
        """
        if metric == "euclidean":
            distances = euclidean_distances(bag.weights)
        else:
            split = split_weights(bag.weights, bag.layout)
            assert split is not None, "both architectures have hidden layers"
            distances = cosine_distances(split.rows.numpy()).astype(np.float64)
        leaves, heights = leaf_profile(linkage(squareform(distances, checks=False), "single"))
        path = np.lexsort((bag.epoch, bag.model_id)).reshape(bag.models, -1)
        model = bag.model_id[leaves]
        return cls(metric, leaves, heights, distances[path[:, :-1], path[:, 1:]], heights[model[1:] != model[:-1]])

    def described(self, bag: KnownBag) -> dict[str, float]:
        """The figures that the paper's dendrograms show, and how orderly their leaves are."""
        model, epoch = bag.model_id[self.leaves], bag.epoch[self.leaves]
        within = model[1:] == model[:-1]
        consecutive = np.abs(np.diff(epoch))[within] == 1
        late = self.steps[:, -max(1, self.steps.shape[1] // 4) :]
        found = {
            "between_least": self.between.min(),
            "between_median": np.median(self.between),
            "first_step_median": np.median(self.steps[:, 0]),
            "late_step_median": np.median(late),
            "longest_step": self.steps.max(),
            "between_to_median_step": np.median(self.between) / np.median(self.steps),
            "between_to_longest_step": self.between.min() / self.steps.max(),
            "steps_that_shrink": (np.diff(self.steps, axis=1) < 0).mean(),
            "neighbouring_leaves_consecutive": consecutive.mean(),
        }
        return {name: float(f"{value:.4g}") for name, value in found.items()}
