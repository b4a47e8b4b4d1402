import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.growing import grow
from zoo_pipeline.trajectories.branching.smoothness import Smoothness

D = 300
TRUE = [*range(-1, 15), 6, *range(16, 23), 10, *range(24, 30)]  # the row before each


def family(seed, noise=0.05):
    """Sixteen rows down a valley in shrinking steps; 16 to 23 leave row 6 and 24 to 30 row 10."""
    rng = np.random.default_rng(seed)

    def walk(start, epoch, count):
        pace = 0.9 ** np.arange(epoch, epoch + count)[:, None]
        return start + np.cumsum(pace * (np.eye(1, D) + noise * rng.standard_normal((count, D))), axis=0)

    root = rng.standard_normal((1, D))
    parent = np.concatenate([root, walk(root, 0, 15)])
    return np.concatenate([parent, walk(parent[6], 6, 8), walk(parent[10], 10, 7)])


def grown(rows, pieces, root=0):
    tree = grow(Smoothness(rows - rows.mean(axis=0), root), [np.array(piece) for piece in pieces], root, rows, None)
    assert sorted(row for path in tree.paths for row in path) == list(range(len(rows)))
    return tree, tree.links(len(rows))[0].tolist()


@pytest.mark.parametrize("seed", range(6))
def test_paths_in_any_order_and_direction_become_the_tree(seed):
    rng = np.random.default_rng(seed)
    pieces = [range(16), range(16, 24), range(24, 31)]
    shuffled = [list(pieces[number])[:: rng.choice([-1, 1])] for number in rng.permutation(3)]
    tree, before = grown(family(seed), shuffled)
    assert before == TRUE
    assert len(tree.paths) == 3  # which of two paths goes on, their steps do not tell
    assert tree.paths[0][0] == 0


@pytest.mark.parametrize("seed", range(6))
def test_a_torn_path_is_put_together(seed):
    pieces = [range(9), range(15, 8, -1), range(16, 20), range(20, 24), range(24, 31)]
    tree, before = grown(family(seed), pieces)
    assert before == TRUE
    assert len(tree.paths) == 3


@pytest.mark.parametrize("seed", range(6))
def test_paths_that_changed_tracks_are_exchanged(seed):
    """The last rows of a branch taken for those of its parent, and the other way round."""
    _, before = grown(family(seed), [[*range(11), *range(20, 24)], [*range(16, 20), *range(11, 16)], range(24, 31)])
    assert before == TRUE


@pytest.mark.parametrize("seed", range(6))
def test_what_keeps_heading_and_pace_goes_on(seed):
    """The pieces join the parent's first rows with those of a branch that began slowly, another way."""
    rng = np.random.default_rng(seed)
    parent = family(seed)[:16]
    pace = 0.3 * 1.1 ** np.arange(8)[:, None]
    turned = (np.eye(1, D) + 2 * np.eye(1, D, 1)) / 5**0.5
    branch = parent[6] + np.cumsum(pace * (turned + 0.05 * rng.standard_normal((8, D))), axis=0)
    tree, before = grown(np.concatenate([parent, branch]), [[*range(7), *range(16, 24)], range(7, 16)])
    assert before == TRUE[:24]
    assert tree.paths == [list(range(16)), list(range(16, 24))]


@pytest.mark.parametrize("row", [3, 9, 15, 16, 20, 23, 30])
def test_a_row_left_out_is_put_in_where_it_belongs(row):
    pieces = [[other for other in piece if other != row] for piece in (range(16), range(16, 24), range(24, 31))]
    _, before = grown(family(0), [[row], *pieces])
    assert before == TRUE


def test_a_root_alone_comes_first():
    _, before = grown(family(1), [range(1, 16), range(16, 24), range(24, 31), [0]])
    assert before == TRUE


def test_scaling_turning_and_shifting_changes_nothing():
    rows = family(2)
    turn, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((D, D)))
    pieces = [range(23, 15, -1), range(24, 31), range(16)]
    assert grown(rows, pieces)[0] == grown(20.0 * rows @ turn - 1.0, pieces)[0]


def test_a_single_path_is_left_as_it_is_but_begins_at_the_root():
    rows = family(3)[:16]
    tree, _ = grown(rows, [range(15, -1, -1)])
    assert (tree.paths, tree.parent_path, tree.parent_row) == ([list(range(16))], [-1], [-1])


def test_rows_that_are_one_in_coordinates_still_make_a_tree():
    rows = family(0)
    rows[1], rows[17], rows[18] = rows[0], rows[16], rows[16]
    tree, _ = grown(rows, [range(16), range(16, 24), range(24, 31)])
    assert tree.paths[0][0] == 0
