import numpy as np
import pytest

from zoo_pipeline.trajectories.branching import unrooted
from zoo_pipeline.trajectories.branching.unrooted import unrooted_tree

D = 300


def walk(rng, start, steps, noise=0.3):
    """A noisy walk down a valley that every walk shares, with shrinking steps, float[steps, D]."""
    pace = 0.9 ** np.arange(steps)[:, None]
    return start + np.cumsum(pace * (np.eye(1, D) + noise * rng.standard_normal((steps, D)) / D**0.5), axis=0)


def one_fork(seed):
    """A walk of 24 rows and another of 12 that leaves its row 9."""
    rng = np.random.default_rng(seed)
    parent = walk(rng, np.zeros(D), 24)
    return np.concatenate([parent, parent[9] + walk(rng, np.zeros(D), 12)])


@pytest.mark.parametrize("seed", range(4))
def test_a_fork_comes_out_as_two_paths_that_begin_at_the_root(seed):
    points = one_fork(seed)
    found = unrooted_tree(points, 0, None)
    assert found.root == found.tree.paths[0][0] == 0
    assert {frozenset(path) for path in found.tree.paths} == {frozenset(range(24)), frozenset(range(24, 36))}
    np.testing.assert_allclose(found.smoothness.progress, np.linalg.norm(points - points[0], axis=1), atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_without_a_root_the_earlier_end_of_the_longest_path_is_guessed(seed):
    points = one_fork(seed)
    shuffled = np.random.default_rng(seed).permutation(len(points))
    assert shuffled[unrooted_tree(points[shuffled], None, None).root] == 0


@pytest.mark.parametrize("seed", range(4))
def test_where_pieces_clearly_run_against_the_tree_it_begins_where_the_clearest_does(seed, monkeypatch):
    points = one_fork(seed)
    monkeypatch.setattr(unrooted, "_likely_root", lambda points, layout: 23)
    found = unrooted_tree(points, None, None)
    assert found.root == found.tree.paths[0][0] == 0


def test_one_smooth_path_is_no_tree():
    assert unrooted_tree(walk(np.random.default_rng(0), np.zeros(D), 24), None, None) is None
