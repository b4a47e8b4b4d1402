"""Claims against weights: where what names say of models and epochs agrees with the trajectories, and where not."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.trajectories.recovery import Recovery

Integers = NDArray[np.int64]
_MOST_NAMED = 5  # of a kind, in one finding


@dataclass(frozen=True)
class Finding:
    """What the weights say of one model's claims.

    Attributes:
        model: number of the claimed model.
        rows: checkpoints of it that were analysed.
        trajectories: those that it lies on, in the order of the claimed times.
        agrees: whether nothing speaks against what is claimed.
        text: one sentence, with `{N}` for the name of model N.
    """

    model: int
    rows: int
    trajectories: tuple[int, ...]
    agrees: bool
    text: str


def hold_claims(model: Integers, time: Integers, recovery: Recovery) -> list[Finding]:
    """Hold claims against a recovery, model by model.

    Args:
        model: int64[n], the claimed model of every row; −1: none.
        time: int64[n], the claimed epoch or step; −1: none.
        recovery: of the same rows.
    """
    found: list[Finding] = []
    kept = (model >= 0) & (recovery.trajectory >= 0)
    company = _company(model[kept], recovery.trajectory[kept])
    order = np.flatnonzero(kept)
    order = order[np.lexsort((time[order], model[order]))]
    starts = np.flatnonzero(np.r_[True, np.diff(model[order]) != 0]) if len(order) else np.empty(0, np.int64)
    for rows in np.split(order, starts[1:]):
        if len(rows):
            found.append(_finding(int(model[rows[0]]), rows, time, recovery, company))
    return found


@dataclass(frozen=True)
class _Company:
    """Which models are together on trajectories.

    Attributes:
        sharers: the models on each trajectory on which there are several, strays aside.
        strays: by (trajectory, model), whose run it is on which a few checkpoints are called after another model.
    """

    sharers: dict[int, list[int]]
    strays: dict[tuple[int, int], int]


def _finding(model: int, rows: Integers, time: Integers, recovery: Recovery, company: _Company) -> Finding:
    on = recovery.trajectory[rows]
    trajectories = tuple(dict.fromkeys(on.tolist()))
    own = [each for each in trajectories if (each, model) not in company.strays]
    kept = np.isin(on, own)
    said = [
        *(_astray(time[rows[on == each]], company.strays[each, model]) for each in trajectories if each not in own),
        *(_several(rows[kept], on[kept], time, recovery) if own else ()),
        *(text for each in own for text in _out_of_order(rows[on == each], time, recovery)),
        *_shared(model, own, company.sharers),
    ]
    text = "; ".join(said) if said else "as claimed"
    return Finding(model, len(rows), trajectories, not said, text)


def _astray(times: Integers, whose: int) -> str:
    if (times < 0).any():
        return f"{len(times)} of its checkpoints are of {{{whose}}}"
    return f"{_listed([str(each) for each in times.tolist()])} {'is' if len(times) == 1 else 'are'} of {{{whose}}}"


def _several(rows: Integers, on: NDArray[np.int32], time: Integers, recovery: Recovery) -> Iterator[str]:
    """That a model lies on several trajectories, and which times on which."""
    runs = list(dict.fromkeys(on.tolist()))
    if len(runs) == 1:
        return
    known = bool((time[rows] >= 0).all())
    pieces = [
        (each, [int(time[row]) for row, _ in part])
        for each, part in groupby(zip(rows, on, strict=True), key=lambda pair: pair[1])
    ]
    others = [each for each in runs[1:] if recovery.parent[each] not in runs]
    if not known:
        yield f"{len(runs)} runs"
    elif not others:
        yield f"branches: {_listed([_times(times) for _, times in pieces])}"
    elif len(pieces) == len(runs):
        parts = _listed([_times(times) for _, times in pieces])
        restarts = _listed([str(times[0]) for each, times in pieces[1:] if each in others])
        yield f"{parts} are {len(runs)} runs: it restarts at {restarts}"
    else:
        yield f"{len(runs)} runs, whose checkpoints alternate: {_listed([_times(times) for _, times in pieces])}"


def _out_of_order(rows: Integers, time: Integers, recovery: Recovery) -> Iterator[str]:
    """Which claimed times do not stand where they should along a trajectory."""
    rows = rows[time[rows] >= 0]
    if len(rows) < 3 and not recovery.direction_decided[recovery.trajectory[rows]].any():
        return
    along = rows[np.argsort(recovery.position[rows], kind="stable")]
    times = time[along]
    kept = _longest_ascent(times)
    if not recovery.direction_decided[recovery.trajectory[along[0]]] if len(along) else False:
        backwards = _longest_ascent(times[::-1])
        if len(backwards) > len(kept):  # the direction is a guess, which the claims may know better
            along, times, kept = along[::-1], times[::-1], backwards
    wrong = np.setdiff1d(np.arange(len(times)), kept)
    for at in wrong[:_MOST_NAMED]:
        after = [other for other in kept if other > at]
        before = [other for other in kept if other < at]
        later = next((other for other in after if times[other] < times[at]), None)
        if later is not None:
            yield f"what is called {times[at]} lies before {times[later]}"
        elif before:
            yield f"what is called {times[at]} lies after {times[before[-1]]}"
    if len(wrong) > _MOST_NAMED:
        yield f"{len(wrong) - _MOST_NAMED} more are out of order"


def _longest_ascent(values: Integers) -> Integers:
    """Places of the longest part of a sequence that never falls."""
    ends: list[int] = []  # ends[k]: the place of the smallest value that ends an ascent of k + 1
    least: list[int] = []  # that value
    before = np.full(len(values), -1)
    for at, value in enumerate(values.tolist()):
        k = bisect_right(least, value)
        before[at] = ends[k - 1] if k else -1
        ends[k : k + 1], least[k : k + 1] = [at], [value]
    places = []
    at = ends[-1] if ends else -1
    while at >= 0:
        places.append(at)
        at = int(before[at])
    return np.array(places[::-1], np.int64)


def _shared(model: int, trajectories: list[int], sharers: dict[int, list[int]]) -> Iterator[str]:
    others = sorted({other for each in trajectories for other in sharers.get(each, ())} - {model})
    if others:
        named = _listed([f"{{{other}}}" for other in others])
        yield f"one run with {named}"


def _company(model: Integers, trajectory: NDArray[np.int32]) -> _Company:
    pairs, counts = np.unique(np.stack([trajectory, model], axis=1), axis=0, return_counts=True)
    rows_of = dict(zip(*map(np.ndarray.tolist, np.unique(model, return_counts=True)), strict=True))
    together: dict[int, list[tuple[int, int]]] = {}
    for (on, each), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        together.setdefault(on, []).append((each, count))
    company = _Company({}, {})
    for on, present in together.items():
        whose, most = max(present, key=lambda pair: pair[1])
        at_home = 2 * most > sum(count for _, count in present)
        strays = [each for each, count in present if at_home and each != whose and 2 * count < rows_of[each]]
        company.strays.update({(on, each): whose for each in strays})
        others = [each for each, _ in present if each not in strays]
        if len(others) > 1:
            company.sharers[on] = others
    return company


def _times(times: list[int]) -> str:
    return str(times[0]) if len(times) == 1 else f"{times[0]} to {times[-1]}"


def _listed(parts: list[str]) -> str:
    """Several in a row, with an end to it."""
    shown = parts if len(parts) <= _MOST_NAMED else [*parts[: _MOST_NAMED - 1], f"{len(parts) - _MOST_NAMED + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
