"""Continuation: which of two paths that leave one row goes on with the training before it, and which began there.

What goes on keeps its momentum, its learning rate and its pace; what begins anew has an optimiser without memory.
"""

from math import log

import numpy as np

from zoo_pipeline.trajectories.branching.drift import Floats
from zoo_pipeline.trajectories.branching.judgement import Judgement

GOES_ON = Judgement.fitted("goes_on")


def continuation_score(before: Floats, after: Floats) -> float:
    """Score how well a path goes on with what came before it.

    The difference of two paths' scores is the log-odds that the one goes on and the other began.

    Args:
        before: float64[s, r], rows up to the one that the path leaves, s at least 2; the last three count.
        after: float64[t, r], the path's rows from its first; the first two count.
    """
    return float(GOES_ON.scores(measure_continuation(before, after)))


def measure_continuation(before: Floats, after: Floats) -> dict[str, float]:
    """Measure a step from what came before; arguments as of `continuation_score`.

    Returns:
        `turn`: cosine of the angle between the step before and the path's first; `older_turn`: the same with the step
        before that; `jump`: |log of the ratio of their lengths|; `trend`: how much that log differs from the one
        before; `slowing`: log of the ratio of the path's first and second step; `own_turn`: cosine of their angle. Of
        what is too short, a step stands for the one beside it.
    """
    last = before[-1] - before[-2]
    older = before[-2] - before[-3] if len(before) > 2 else last
    first = after[0] - before[-1]
    second = after[1] - after[0] if len(after) > 1 else first
    pace, earlier = _log_ratio(first, last), _log_ratio(last, older)
    return {
        "turn": _cosine(last, first),
        "older_turn": _cosine(older, first),
        "jump": abs(pace),
        "trend": abs(pace - earlier),
        "slowing": _log_ratio(first, second),
        "own_turn": _cosine(first, second),
    }


def _cosine(one: Floats, other: Floats) -> float:
    """0 where a step has no length."""
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / lengths if lengths > 0 else 0.0


def _log_ratio(one: Floats, other: Floats) -> float:
    """0 where a step has no length."""
    first, second = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    return log(first / second) if first > 0 and second > 0 else 0.0
