"""A bag of checkpoints whose history is known."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout


@dataclass(frozen=True)
class KnownBag:
    """n checkpoints of k models of one layout, shuffled, and the truth about them.

    Attributes:
        weights: float32[n, d].
        layout: which column belongs to which tensor.
        model_id: int64[n], 0 … k − 1.
        epoch: int64[n], counted from the model's own start. A fork starts at epoch 0 from its parent's checkpoint,
            which is in the bag once, as the parent's: the fork's own rows begin with epoch 1.
        identifiable: bool[n], whether anything in the weights tells where the row belongs; only these rows are scored.
        family: int64[k], equal for models that go back to one initialisation.
        parent_model: int64[k], the model that this one continues; −1 where there is none.
        parent_epoch: int64[k], the parent's epoch that it starts from; −1 where there is none.
    """

    weights: NDArray[np.float32]
    layout: Layout
    model_id: NDArray[np.int64]
    epoch: NDArray[np.int64]
    identifiable: NDArray[np.bool_]
    family: NDArray[np.int64]
    parent_model: NDArray[np.int64]
    parent_epoch: NDArray[np.int64]

    @property
    def models(self) -> int:
        """Number of models, k."""
        return len(self.family)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.integer]) -> Self:
        """The bag with some of its rows, by mask or by number; its models keep their ids."""
        return replace(
            self,
            weights=self.weights[chosen],
            model_id=self.model_id[chosen],
            epoch=self.epoch[chosen],
            identifiable=self.identifiable[chosen],
        )

    def shuffled(self, generator: np.random.Generator) -> Self:
        """The bag with its rows in another order."""
        return self.rows(generator.permutation(len(self.weights)))


@dataclass(frozen=True)
class Fork:
    """The checkpoint that a model starts from."""

    model: int
    epoch: int


def known_bag(
    paths: Sequence[NDArray[np.float32]],
    layout: Layout,
    generator: np.random.Generator,
    *,
    forks: Sequence[Fork | None] | None = None,
    family: Sequence[int] | None = None,
) -> KnownBag:
    """Put models' checkpoints into a bag and shuffle it.

    Args:
        paths: one per model, float32[epochs + 1, d], epoch 0 included.
        layout: of the weights.
        generator: shuffles the rows.
        forks: what each model continues, None for those that continue nothing; their epoch 0 is left out of the bag.
            Parents stand before their children. None: nobody continues anything.
        family: of each model; None: everybody has one of its own, and forks that of their parents.

    Returns:
        The bag; rows of one family with equal epoch 0 are not identifiable.
    """
    origins = list(forks) if forks is not None else [None] * len(paths)
    families = list(family) if family is not None else []
    for model, fork in enumerate(origins[len(families) :], start=len(families)):
        families.append(model if fork is None else families[fork.model])
    first = [0 if fork is None else 1 for fork in origins]
    model_id = np.repeat(np.arange(len(paths)), [len(path) - start for path, start in zip(paths, first, strict=True)])
    epoch = np.concatenate([np.arange(start, len(path)) for path, start in zip(paths, first, strict=True)])
    starts = np.array([fork is None for fork in origins])
    roots = np.bincount(np.array(families)[starts], minlength=len(paths))  # copies of each family's initialisation
    bag = KnownBag(
        weights=np.concatenate([path[start:] for path, start in zip(paths, first, strict=True)]),
        layout=layout,
        model_id=model_id,
        epoch=epoch,
        identifiable=(epoch > 0) | (roots[np.array(families)[model_id]] == 1),
        family=np.array(families),
        parent_model=np.array([-1 if fork is None else fork.model for fork in origins]),
        parent_epoch=np.array([-1 if fork is None else fork.epoch for fork in origins]),
    )
    return bag.shuffled(generator)
