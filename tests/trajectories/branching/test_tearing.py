import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.tearing import tear
from zoo_pipeline.trajectories.branching.tree import Tree

D = 200


@pytest.fixture
def fork():
    """A path of 16 rows, and one of 10 that left its row 5; both by steps that have little in common."""
    rng = np.random.default_rng(0)
    heading = np.eye(1, D)

    def walk(start, count):
        return start + np.cumsum(4 * heading + rng.standard_normal((count, D)) / 4, axis=0)

    trunk = walk(np.zeros(D), 16)
    return np.concatenate([trunk, walk(trunk[5] + 8 * rng.standard_normal(D) / np.sqrt(D), 10)])


def whole():
    return Tree([list(range(16)), list(range(16, 26))], [-1, 0], [-1, 5])


def test_a_tree_that_is_right_stays_whole(fork):
    tree = whole()
    tear(fork, tree)
    assert tree == whole()


def test_paths_whose_ends_are_exchanged_are_torn_there(fork):
    tree = Tree([[*range(11), *range(21, 26)], [*range(16, 21), *range(11, 16)]], [-1, 0], [-1, 5])
    tear(fork, tree)
    assert sorted(map(tuple, tree.paths)) == sorted(
        [tuple(range(11)), tuple(range(21, 26)), tuple(range(16, 21)), tuple(range(11, 16))]
    )
    left = {tree.paths[number][0]: tree.parent_row[number] for number in range(4)}
    assert left == {0: -1, 16: 5, 21: 20, 11: 10}


def test_every_row_stays_on_one_path_whatever_the_tree():
    rng = np.random.default_rng(1)
    for _ in range(20):
        tree = whole()
        tear(rng.standard_normal((26, 30)).cumsum(axis=0), tree)
        assert sorted(row for path in tree.paths for row in path) == list(range(26))
        for number, row in enumerate(tree.parent_row):
            assert (row < 0) == (number == 0)
            assert number == 0 or row in tree.paths[tree.parent_path[number]]
            assert row not in {one for descendant in tree.descent(number) for one in tree.paths[descendant]}
