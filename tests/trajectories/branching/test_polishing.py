from itertools import pairwise

import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.polishing import polish
from zoo_pipeline.trajectories.branching.smoothness import Smoothness
from zoo_pipeline.trajectories.branching.tree import Tree

D = 300


def forked(seed):
    """Sixteen rows of a walk down a valley, and eight more, 16 to 23, that leave the seventh."""
    rng = np.random.default_rng(seed)
    steps = np.eye(1, D) + 0.03 * rng.standard_normal((24, D))
    steps[0] = 0
    parent = steps[:16].cumsum(axis=0)
    return Smoothness(np.concatenate([parent, parent[6] + steps[16:].cumsum(axis=0)]), 0)


TRUE = Tree([list(range(16)), list(range(16, 24))], [-1, 0], [-1, 6])


@pytest.mark.parametrize("seed", range(4))
def test_a_true_tree_is_left_as_it_is(seed):
    assert polish(forked(seed), TRUE) == TRUE


@pytest.mark.parametrize("seed", range(4))
def test_crossed_paths_are_uncrossed(seed):
    crossed = Tree([[*range(11), *range(20, 24)], [*range(16, 20), *range(11, 16)]], [-1, 0], [-1, 6])
    assert polish(forked(seed), crossed) == TRUE


@pytest.mark.parametrize("seed", range(4))
def test_a_torn_path_is_mended(seed):
    """The parent's last five rows taken for a branch of the other path."""
    torn = Tree([list(range(11)), list(range(16, 24)), list(range(11, 16))], [-1, 0, 1], [-1, 6, 19])
    assert polish(forked(seed), torn) == TRUE


@pytest.mark.parametrize("seed", range(12))
def test_of_any_tree_a_tree_remains_that_costs_no_more_and_has_no_more_paths(seed):
    smoothness = forked(seed)
    rng = np.random.default_rng(seed)
    order = np.append(0, 1 + rng.permutation(23)).tolist()
    ends = [0, *sorted(rng.choice(np.arange(2, 24), 3, replace=False).tolist()), 24]
    paths = [order[start:end] for start, end in pairwise(ends)]
    parents = [-1] + [int(rng.integers(number)) for number in range(1, 4)]
    rows = [-1] + [int(rng.choice(paths[parent][:-1] or paths[parent])) for parent in parents[1:]]
    tree = Tree(paths, parents, rows)
    given = [list(path) for path in paths]
    polished = polish(smoothness, tree)
    assert smoothness.of_tree(polished) < smoothness.of_tree(tree)
    assert tree.paths == given
    assert sorted(row for path in polished.paths for row in path) == list(range(24))
    assert len(polished.paths) <= 4
    assert polished.paths[0][0] == 0
    assert sorted(polished.descent(0)) == list(range(len(polished.paths)))
    for parent, row in zip(polished.parent_path[1:], polished.parent_row[1:], strict=True):
        assert row in polished.paths[parent]


@pytest.mark.parametrize("seed", range(4))
def test_no_single_exchange_of_path_ends_would_gain_any_more(seed):
    """Tried one by one: two paths of a polished tree with the rows after any two places swapped."""
    smoothness = forked(seed)
    shuffled = [0, *(1 + np.random.default_rng(seed).permutation(15)).tolist()]
    tree = polish(smoothness, Tree([shuffled, list(range(16, 24))], [-1, 0], [-1, 6]))
    cost = smoothness.of_tree(tree)
    parent, branch = tree.paths[0], tree.paths[1]
    for one in range(parent.index(tree.parent_row[1]) + 1, len(parent)):
        for other in range(len(branch) - 1):
            paths = [parent[: one + 1] + branch[other + 1 :], branch[: other + 1] + parent[one + 1 :]]
            assert smoothness.of_tree(Tree([*paths, *tree.paths[2:]], tree.parent_path, tree.parent_row)) > cost - 1e-6
