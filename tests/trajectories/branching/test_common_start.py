from itertools import product

import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.common_start import cover_from_root, parts_by_start
from zoo_pipeline.trajectories.branching.drift import drift_free_squares
from zoo_pipeline.trajectories.linkage import minimum_spanning_edges
from zoo_pipeline.trajectories.ordering import euclidean_distances

D = 200


def test_rows_belong_to_the_start_that_shorter_steps_lead_to():
    """Whose start is nearer does not count."""
    points = np.array([0.0, 1, 2, 3, 4, 5, 6, 8, 9])[:, None]
    distances = euclidean_distances(points)
    parts = parts_by_start(distances, minimum_spanning_edges(distances), np.array([8, 0]))
    assert [part.tolist() for part in parts] == [[7, 8], [0, 1, 2, 3, 4, 5, 6]]
    whole = parts_by_start(distances, minimum_spanning_edges(distances), np.array([4]))
    assert [part.tolist() for part in whole] == [list(range(9))]


def siblings(seed, models, epochs):
    """A root and random walks from it down one valley, model after model."""
    rng = np.random.default_rng(seed)
    steps = np.eye(1, D) + 0.03 * rng.standard_normal((models, epochs, D))
    return np.concatenate([np.zeros((1, D)), steps.cumsum(axis=1).reshape(-1, D)])


def costs(rows, root):
    """Squares without the drift, infinite where a row is not nearer the root than the other; and progress."""
    progress = np.linalg.norm(rows - rows[root], axis=1)
    squares = drift_free_squares(rows, progress, 20)
    squares[progress[None, :] >= progress[:, None]] = np.inf
    return squares, progress


def cheapest(squares, progress, root, starts):
    """The best of all ways to give every row a predecessor, each row but the root having one successor at most."""
    m = len(squares)
    order = np.argsort(progress)
    step = np.zeros(m)  # by place in progress
    for place in range(1, m):
        backs = range(max(starts // 2, 1), starts + 1)
        step[place] = min(squares[order[place], order[max(place - back, 0)]] for back in backs)
    ended = np.zeros(m)
    for place in range(m):
        ended[order[place]] = 0.3 * step[place + 1 :].sum() / starts
    others = [row for row in range(m) if row != root]
    best, parents = np.inf, None
    for before in product(*[np.flatnonzero(np.isfinite(squares[row])).tolist() for row in others]):
        used = [before.count(row) for row in range(m)]
        if used[root] == starts and all(used[row] <= 1 for row in others):
            cost = sum(squares[row, left] for row, left in zip(others, before, strict=True))
            cost += sum(ended[row] for row in others if not used[row])
            if cost < best:
                best, parents = cost, dict(zip(others, before, strict=True))
    return [parents.get(row, -1) for row in range(m)]


@pytest.mark.parametrize("seed", range(4))
def test_walks_from_one_root_are_told_apart_in_whatever_order_they_come(seed):
    rows = siblings(seed, 4, 10)
    truth = np.arange(-1, 40)
    truth[1::10] = 0
    shuffled = np.random.default_rng(seed).permutation(41)
    place = np.argsort(shuffled)
    found = cover_from_root(*costs(rows[shuffled], place[0]), place[0], 4)[place]
    assert np.where(found >= 0, shuffled[found], -1).tolist() == truth.tolist()


@pytest.mark.parametrize(("seed", "starts"), [(seed, starts) for seed in range(6) for starts in (1, 2, 3, 4)])
def test_the_cover_is_the_cheapest_of_all(seed, starts):
    """Random rows: what is cheapest is no plain track, and where paths end matters."""
    rows = np.random.default_rng(seed).standard_normal((7, 3))
    squares, progress = costs(rows, 2)
    assert cover_from_root(squares, progress, 2, starts).tolist() == cheapest(squares, progress, 2, starts)


def test_more_starts_than_rows_are_one_path_each():
    rows = siblings(0, 1, 3)
    assert cover_from_root(*costs(rows, 0), 0, 9).tolist() == [-1, 0, 0, 0]
