"""Attachment: from which row of a line a path branched off, by how its first step fits there."""

import numpy as np

from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.judgement import Judgement

_OTHERS = (-2, -1, 1, 2)  # steps of the line, counted from one, beside which that one is new
_MOST_CARRIED = 0.5  # of a step, from its middle: more is noise
_LEAST = 1e-12  # relative to squares of the child's step, and of the longest way


OF_A_BRANCH = Judgement.fitted("branch")  # that began at a row of the line, or goes on with it from its last
OF_THE_REST = Judgement.fitted("rest")  # of the old run, where the line goes on with a branch


def measure_attachment(line: Floats, first: Floats, second: Floats) -> dict[str, Floats]:
    """Measure how n paths would branch from each row of a line.

    Lengths are relative to the first step of the path.

    Args:
        line: float64[t, r], the rows of the parent from the root on, and of what continues it; t at least 2.
        first: float64[n, r], the first row of each of n paths, none of them on the line.
        second: float64[n, r], the row after it.

    Returns:
        float64[n, t] by name:
            way: log of the distance from the row to the path's first.
            back: log of the distance from the row to where the path's first step, taken once more before it, began.
            turn: cosine of the angle between the way and the first step.
            unlike: |way|.
            with_next, with_last: cosine of the angle between the way and the line's step after, or before, the row.
            carried: how many of the line's steps up to the row the path carries in itself, less those after it that it
                does too. Carried is what a step adds that the steps beside it and the path's own first do not tell.
            carried_last, carried_next: how far it carries the step before, or after, the row; −½ to ½ each.
            near: min(way, 0)².
            last: 1 for the last row of the line, else 0.
    """
    n = len(first)
    own = second - first
    ways = first[:, None] - line[None]
    # Distinct rows may lie so near each other that, in coordinates, they are one.
    shortest = max(np.sqrt(_LEAST) * float(np.linalg.norm(ways, axis=2).max()), np.finfo(np.float64).tiny ** 0.5)
    length = np.maximum(np.linalg.norm(own, axis=1), shortest)[:, None]
    distance = np.maximum(np.linalg.norm(ways, axis=2), np.sqrt(_LEAST) * length)
    behind = np.maximum(np.linalg.norm(ways - own[:, None], axis=2), np.sqrt(_LEAST) * length)
    steps = np.diff(line, axis=0)
    units = steps / np.maximum(np.linalg.norm(steps, axis=1), shortest)[:, None]
    after, before = np.concatenate([units, units[-1:]]), np.concatenate([units[:1], units])
    way = np.log(distance / length)
    carried = _carried(line, steps, first, own)
    sums = np.concatenate([np.zeros((n, 1)), carried.cumsum(axis=1)], axis=1)
    return {
        "way": way,
        "back": np.log(behind / length),
        "turn": np.einsum("ntr,nr->nt", ways, own) / (distance * length),
        "unlike": np.abs(way),
        "with_next": np.einsum("ntr,tr->nt", ways, after) / distance,
        "with_last": np.einsum("ntr,tr->nt", ways, before) / distance,
        "carried": 2 * sums - sums[:, -1:],
        "carried_last": np.concatenate([np.full((n, 1), 0.5), carried], axis=1),
        "carried_next": np.concatenate([carried, np.full((n, 1), -0.5)], axis=1),
        "near": np.square(np.minimum(way, 0.0)),
        "last": np.broadcast_to(np.arange(len(line)) == len(line) - 1, way.shape).astype(np.float64),
    }


def _carried(line: Floats, steps: Floats, first: Floats, own: Floats) -> Floats:
    """Measure how far each path carries each step of the line, ½ to −½ (not at all), float64[n, t − 1].

    Of a step counts what is perpendicular to the two steps before and after it and to the path's own first.
    """
    count = len(steps)
    carried = np.empty((len(first), count))
    beside = [[step + offset for offset in _OTHERS if 0 <= step + offset < count] for step in range(count)]
    for others in {len(one): None for one in beside}:  # as many at once as have equally many steps beside them
        some = np.array([step for step, one in enumerate(beside) if len(one) == others])
        known, _ = np.linalg.qr(np.swapaxes(steps[np.array([beside[step] for step in some], np.int64)], 1, 2))
        new = steps[some] - np.einsum("srk,sk->sr", known, np.einsum("srk,sr->sk", known, steps[some]))
        rest = own - np.einsum("srk,snk->snr", known, np.einsum("srk,nr->snk", known, own))
        squares = np.einsum("snr,snr->sn", rest, rest)
        inner = np.einsum("snr,sr->sn", rest, new)
        share = np.where(squares > 0, inner / np.where(squares > 0, squares, 1.0), 0.0)
        new_by_path = new[:, None] - share[..., None] * rest
        way = first - ((line[some] + line[some + 1]) / 2)[:, None]
        size = np.einsum("snr,snr->sn", new_by_path, new_by_path)
        inner = np.einsum("snr,snr->sn", way, new_by_path)
        carried[:, some] = np.where(size > 0, inner / np.where(size > 0, size, 1.0), 0.0).T
    return np.clip(carried, -_MOST_CARRIED, _MOST_CARRIED)
