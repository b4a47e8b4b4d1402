from itertools import pairwise, permutations, product

import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.cover import smooth_cover
from zoo_pipeline.trajectories.branching.smoothness import END, Smoothness

D = 400


def walks(seed, count, epochs, noise=0.012):
    """Random walks down one valley from one place, walk after walk."""
    steps = np.eye(1, D) + noise * np.random.default_rng(seed).standard_normal((count, epochs, D))
    return steps.cumsum(axis=1).reshape(-1, D)


def covers(m):
    """All ways to divide m rows into paths up to reversal."""
    for order in permutations(range(m)):
        for cuts in product([False, True], repeat=m - 1):
            ends = [0, *(place + 1 for place, cut in enumerate(cuts) if cut), m]
            paths = [order[start:end] for start, end in pairwise(ends)]
            if all(path[0] <= path[-1] for path in paths) and paths == sorted(paths):
                yield paths


def cost(smoothness, path):
    """Of every row the pair beside it; for a neighbour that is missing the best there could be, and `END` besides.

    Three rows and more may have been a ring.
    """
    rows = np.arange(len(smoothness.coordinates))

    def best(row, beside):
        others = rows[rows != row]
        pairs = smoothness.of_pairs(row, others)
        chosen = np.isin(others, beside)
        kept = (pairs, pairs[chosen], pairs[chosen][:, chosen])[len(beside)]
        return kept.min() + (2 - len(beside)) * END

    ends = [-1, *path, -1]
    open_path = sum(best(row, [n for n in ends[place : place + 3 : 2] if n >= 0]) for place, row in enumerate(path))
    if len(path) < 3:
        return open_path
    return min(
        open_path, sum(best(row, [path[place - 1], path[place + 1 - len(path)]]) for place, row in enumerate(path))
    )


def as_sets(paths):
    return sorted(min(path.tolist(), path.tolist()[::-1]) for path in paths)


@pytest.mark.parametrize("seed", range(5))
def test_a_track_is_told_from_the_one_it_left_though_its_nearest_rows_lie_there(seed):
    """Twelve rows, and eight more that leave the fourth; steps to where it was left and between last rows are smooth,
    too, and the cut between last rows may miss them by a few.
    """
    rows = walks(seed, 2, 12)
    rows = np.concatenate([rows[:12], rows[3] + rows[12:20]])
    distances = np.linalg.norm(rows[12:, None] - rows[None], axis=2) + np.eye(8, 20, 12) * 99
    assert (distances.argmin(axis=1) < 12).sum() >= 6
    shuffled = np.random.default_rng(seed).permutation(20)
    paths = smooth_cover(Smoothness(rows[shuffled], int(np.argsort(shuffled)[0])))
    links = {tuple(sorted(link)) for path in paths for link in pairwise(shuffled[path].tolist())}
    true = {*pairwise(range(12)), *pairwise(range(12, 20))}
    assert links - true <= {(3, 12), (11, 19)}
    assert len(true - links) <= 2


@pytest.mark.parametrize(("seed", "apart"), [(seed, apart) for seed in range(6, 12) for apart in (0, 30)])
def test_no_other_cover_costs_less(seed, apart):
    """The solver stops within a thousandth of the cost, which is counted from 1 above the best of every row."""
    rows = np.random.default_rng(seed).standard_normal((5, 3)) + 2 * np.arange(5)[:, None] ** 0.5
    rows[3:, 0] += apart
    smoothness = Smoothness(rows, 0)
    known = {}
    for paths in covers(5):
        for path in paths:
            known.setdefault(path, cost(smoothness, path))
    best = min(sum(known[path] for path in paths) for paths in covers(5))
    found = smooth_cover(smoothness)
    assert sum(cost(smoothness, path.tolist()) for path in found) == pytest.approx(best, abs=0.01)


@pytest.mark.parametrize(("seed", "m", "d"), [(0, 2, 3), (1, 3, 2), (2, 17, 4), (3, 40, 2), (4, 47, 30)])
def test_every_row_is_in_exactly_one_path_of_noise(seed, m, d):
    rows = np.random.default_rng(seed).standard_normal((m, d))
    paths = smooth_cover(Smoothness(rows, 0))
    assert sorted(np.concatenate(paths).tolist()) == list(range(m))


@pytest.mark.parametrize(("m", "strength"), [(60, 1.0), (60, 0.1), (300, 1.0), (300, 0.1)])
def test_noise_has_no_cover(m, strength):
    """Rows that lie as well between any others, as at a plateau: the integer program would take minutes."""
    random = np.random.default_rng(m)
    rows = strength * random.standard_normal((m, 200))
    rows[:, 0] += 10 * np.sqrt(np.linspace(0, 1, m))
    assert smooth_cover(Smoothness(rows, 0)) == []


def test_siblings_that_end_beside_each_other_are_cut_at_the_turn():
    """A path that runs out and comes back beside itself, as two walks do that are joined by their last rows."""
    away = np.arange(10.0) ** 0.9
    out = np.stack([away, np.zeros(10), 0.05 * np.sin(away)], axis=1)
    back = np.stack([away, np.linspace(3, 1.2, 10), 0.05 * np.cos(away)], axis=1)
    paths = smooth_cover(Smoothness(np.concatenate([out, back]), 0))
    assert as_sets(paths) == [list(range(10)), list(range(10, 20))]


def test_scaling_turning_and_shifting_changes_nothing():
    rows = walks(7, 3, 9)
    turn, _ = np.linalg.qr(np.random.default_rng(7).standard_normal((D, D)))
    plain, moved = (as_sets(smooth_cover(Smoothness(x, 0))) for x in (rows, 30.0 * rows @ turn + 2.0))
    assert plain == moved
