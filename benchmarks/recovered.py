"""What one side recovered of a bag, and what that is worth, scored by scikit-learn and scipy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.metrics import adjusted_rand_score

from zoo_pipeline.trajectories.scenarios import KnownBag

LEAST_CHECKPOINTS = 3  # of a true trajectory whose direction is scored
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Recovered:
    """One side's answer for n rows in k trajectories.

    Attributes:
        trajectory: int64[n], 0 … k − 1.
        position: int64[n], from 0 in each trajectory.
        decided: bool[k], whether the direction of the positions is more than a guess.
        confidence: float64[k], probability of that direction; NaN where the side gives none.
        parent_row: int64[k], the row that a trajectory branches from; −1 where none is named.
    """

    trajectory: Ints
    position: Ints
    decided: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    parent_row: Ints

    @classmethod
    def without_links(cls, trajectory: Ints, position: Ints) -> Self:
        """The answer of a side that always decides and knows no branches."""
        k = int(trajectory.max()) + 1
        return cls(trajectory, position, np.ones(k, bool), np.full(k, np.nan), np.full(k, -1))

    def path(self, trajectory: int) -> Ints:
        """A trajectory's rows in order."""
        rows = np.flatnonzero(self.trajectory == trajectory)
        return rows[np.argsort(self.position[rows])]


def joined(answers: Sequence[Recovered]) -> Recovered:
    """The answers for several bags as the answer for all of their rows."""
    rows = np.cumsum([0, *(len(answer.trajectory) for answer in answers)])
    trajectories = np.cumsum([0, *(len(answer.decided) for answer in answers)])
    return Recovered(
        trajectory=np.concatenate([answer.trajectory + k for answer, k in zip(answers, trajectories, strict=False)]),
        position=np.concatenate([answer.position for answer in answers]),
        decided=np.concatenate([answer.decided for answer in answers]),
        confidence=np.concatenate([answer.confidence for answer in answers]),
        parent_row=np.concatenate([_shifted(answer.parent_row, n) for answer, n in zip(answers, rows, strict=False)]),
    )


@dataclass(frozen=True)
class Truth:
    """The history of all rows of a scenario; the fields are those of `KnownBag`, numbered through.

    Attributes:
        content: int64[n], equal for rows with equal weights.
    """

    model_id: Ints
    epoch: Ints
    identifiable: NDArray[np.bool_]
    content: Ints
    family: Ints
    parent_model: Ints
    parent_epoch: Ints

    @classmethod
    def of(cls, bags: Sequence[KnownBag]) -> Self:
        """Number models, families and contents through all bags."""
        models = np.cumsum([0, *(bag.models for bag in bags)])
        rows = np.cumsum([0, *(len(bag.epoch) for bag in bags)])
        numbered = list(zip(bags, models, strict=False))
        return cls(
            model_id=np.concatenate([bag.model_id + k for bag, k in numbered]),
            epoch=np.concatenate([bag.epoch for bag in bags]),
            identifiable=np.concatenate([bag.identifiable for bag in bags]),
            content=np.concatenate([_contents(bag) + n for bag, n in zip(bags, rows, strict=False)]),
            family=np.concatenate([bag.family + k for bag, k in numbered]),
            parent_model=np.concatenate([_shifted(bag.parent_model, k) for bag, k in numbered]),
            parent_epoch=np.concatenate([bag.parent_epoch for bag in bags]),
        )

    def path(self, model: int) -> Ints:
        """A model's scored rows in order, each content once."""
        rows = np.flatnonzero((self.model_id == model) & self.identifiable)
        rows = rows[np.argsort(self.epoch[rows], kind="stable")]
        return rows[np.sort(np.unique(self.content[rows], return_index=True)[1])]

    @property
    def scored_models(self) -> Ints:
        """Models with at least one identifiable row."""
        return np.unique(self.model_id[self.identifiable])


def figures(truth: Truth, answer: Recovered) -> dict[str, float | None]:
    """Score an answer; None where the scenario does not define the figure.

    Returns:
        `ari` and `exact_trajectories` of the identifiable rows; `kendall_tau_min`, the smallest |τ| of a true
        trajectory, whose rows outside its largest fragment count as misplaced; `direction_accuracy` and
        `direction_undecided`, fractions of the true trajectories of at least three rows, and
        `direction_right_of_decided`; `false_joins`, rows that should be alone and are not, where all should be; those
        of `link_figures`.
    """
    scored = truth.identifiable
    verdicts = list(directions(truth, answer))
    taus = [abs(tau) for _, tau, _ in orders(truth, answer)]
    decided = [right for _, is_decided, right in verdicts if is_decided]
    found = len(np.unique(answer.trajectory[scored]))
    alone = len(truth.scored_models) == int(scored.sum())
    return {
        "ari": float(adjusted_rand_score(truth.model_id[scored], answer.trajectory[scored])),
        "exact_trajectories": _exact(truth, answer),
        "kendall_tau_min": min(taus, default=None),
        "direction_accuracy": sum(decided) / len(verdicts) if verdicts else None,
        "direction_undecided": 1 - len(decided) / len(verdicts) if verdicts else None,
        "direction_right_of_decided": sum(decided) / len(decided) if decided else None,
        "false_joins": float(scored.sum() - found) if alone else None,
        **link_figures(truth, answer),
    }


def orders(truth: Truth, answer: Recovered) -> Iterator[tuple[int, float, int]]:
    """Of every true trajectory with two rows or more: its model, τ, and its largest recovered fragment."""
    for model in truth.scored_models:
        rows = truth.path(model)
        if len(rows) < 2:
            continue
        fragment = int(np.bincount(answer.trajectory[rows]).argmax())
        placed = rows[answer.trajectory[rows] == fragment]
        tau = kendalltau(truth.epoch[placed], answer.position[placed]).statistic if len(placed) > 1 else 0.0
        # Pairs with a row outside the fragment count, and agree in nothing.
        share = len(placed) * (len(placed) - 1) / (len(rows) * (len(rows) - 1))
        yield int(model), round(float(tau) * share, 12), fragment


def directions(truth: Truth, answer: Recovered) -> Iterator[tuple[float, bool, bool]]:
    """Of every true trajectory of at least three rows: confidence, whether its direction is decided, and right."""
    for model, tau, fragment in orders(truth, answer):
        if len(truth.path(model)) >= LEAST_CHECKPOINTS:
            yield float(answer.confidence[fragment]), bool(answer.decided[fragment]), tau > 0


def link_figures(truth: Truth, answer: Recovered) -> dict[str, float | None]:
    """Score the links between trajectories that branch.

    Returns:
        `parent_right`, `fork_exact` and `fork_within_one`: fractions of the forks whose trajectory is said to branch
        from its parent's, from the very checkpoint, from it or a neighbour; `edge_f1` of all directed edges between
        checkpoints of a bag with forks; `root_found`: fraction of the models with a shared initialisation whose
        trajectory starts at it or is said to branch from it.
    """
    children = np.flatnonzero(truth.parent_model >= 0)
    apart = [_epochs_apart(truth, answer, int(child)) for child in children]
    shared = [model for model in truth.scored_models if _shares_start(truth, int(model))]
    if not len(children):
        forked: dict[str, float | None] = dict.fromkeys(("parent_right", "fork_exact", "fork_within_one", "edge_f1"))
    else:
        forked = {
            "parent_right": float(np.mean([distance is not None for distance in apart])),
            "fork_exact": float(np.mean([distance == 0 for distance in apart])),
            "fork_within_one": float(np.mean([distance is not None and distance <= 1 for distance in apart])),
            "edge_f1": _edge_f1(_true_edges(truth), _found_edges(answer)),
        }
    roots = float(np.mean([_root_found(truth, answer, int(model)) for model in shared])) if shared else None
    return {**forked, "root_found": roots}


def _shifted(numbers: Ints, by: int) -> Ints:
    """Numbers in a list that others come before; −1 stays −1."""
    return np.where(numbers < 0, -1, numbers + by)


def _contents(bag: KnownBag) -> Ints:
    rows = np.ascontiguousarray(bag.weights)
    whole = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))[:, 0]
    return np.unique(whole, return_inverse=True)[1].astype(np.int64)


def _exact(truth: Truth, answer: Recovered) -> float:
    """Fraction of the true trajectories whose rows are exactly those of a recovered one."""
    model, found = truth.model_id[truth.identifiable], answer.trajectory[truth.identifiable]
    pairs, size = np.unique(np.stack([model, found]), axis=1, return_counts=True)
    whole = size == np.bincount(model)[pairs[0]]
    pure = size == np.bincount(found)[pairs[1]]
    return float((whole & pure).sum() / len(truth.scored_models))


def _fragment(truth: Truth, answer: Recovered, model: int) -> int:
    return int(np.bincount(answer.trajectory[truth.path(model)]).argmax())


def _epochs_apart(truth: Truth, answer: Recovered, child: int) -> int | None:
    """Epochs between the named and the true fork point of a child; None where its parent is another or none."""
    row = answer.parent_row[_fragment(truth, answer, child)]
    if row < 0 or truth.model_id[row] != truth.parent_model[child]:
        return None
    return abs(int(truth.epoch[row] - truth.parent_epoch[child]))


def _shares_start(truth: Truth, model: int) -> bool:
    starts = (truth.epoch == 0) & (truth.model_id == model)
    return bool((starts & ~truth.identifiable).any())


def _root_found(truth: Truth, answer: Recovered, model: int) -> bool:
    fragment = _fragment(truth, answer, model)
    first = int(answer.path(fragment)[0])
    rows = [row for row in (first, int(answer.parent_row[fragment])) if row >= 0]
    return any(truth.epoch[row] == 0 and truth.family[truth.model_id[row]] == truth.family[model] for row in rows)


def _true_edges(truth: Truth) -> set[tuple[int, int]]:
    """Pairs of rows: every checkpoint and the next, fork points and their children's first."""
    edges = set()
    for model in truth.scored_models:
        rows = truth.path(model)
        edges |= set(pairwise(rows.tolist()))
        origin = (truth.model_id == truth.parent_model[model]) & (truth.epoch == truth.parent_epoch[model])
        edges |= {(int(row), int(rows[0])) for row in np.flatnonzero(origin)}
    return edges


def _found_edges(answer: Recovered) -> set[tuple[int, int]]:
    edges = set()
    for trajectory, parent in enumerate(answer.parent_row.tolist()):
        rows = answer.path(trajectory).tolist()
        edges |= set(pairwise(rows))
        edges |= {(parent, rows[0])} if parent >= 0 and rows else set()
    return edges


def _edge_f1(true: set[tuple[int, int]], found: set[tuple[int, int]]) -> float:
    return 2 * len(true & found) / (len(true) + len(found))
