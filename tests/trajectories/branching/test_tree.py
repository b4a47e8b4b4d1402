from copy import deepcopy

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zoo_pipeline.trajectories.branching.tree import Tree


def small_tree():
    """0 … 5, of which 6, 7, 8 leave 3 and 9 leaves 1; 10, 11 leave 7 and 12 leaves 5's forerunner 4."""
    return Tree([[0, 1, 2, 3, 4, 5], [6, 7, 8], [9], [10, 11], [12]], [-1, 0, 0, 1, 0], [-1, 3, 1, 7, 4])


@st.composite
def trees(draw):
    """A tree of up to 15 shuffled rows: each comes after an earlier one, on its path where that is free and drawn."""
    m = draw(st.integers(1, 15))
    rows = draw(st.permutations(range(m)))
    before, after = np.full(m, -1), np.full(m, -1)
    for place in range(1, m):
        left = rows[draw(st.integers(0, place - 1))]
        before[rows[place]] = left
        if after[left] < 0 and draw(st.booleans()):
            after[left] = rows[place]
    return before, after


def test_the_line_of_a_path_runs_from_the_root_to_its_end():
    tree = small_tree()
    assert tree.line(0) == [0, 1, 2, 3, 4, 5]
    assert tree.before(0) == []
    assert tree.before(2) == [0, 1]
    assert tree.before(3) == [0, 1, 2, 3, 6, 7]
    assert tree.line(3) == [0, 1, 2, 3, 6, 7, 10, 11]


def test_the_descent_of_a_path_is_all_that_branches_from_it():
    tree = small_tree()
    assert [sorted(tree.descent(number)) for number in range(5)] == [[0, 1, 2, 3, 4], [1, 3], [2], [3], [4]]
    assert [tree.path_of(row) for row in (0, 8, 9, 11, 12)] == [0, 1, 2, 3, 4]


def test_exchanged_ends_take_their_branches_along():
    tree = small_tree()
    tree.exchange_ends(1)
    assert tree.paths == [[0, 1, 2, 3, 6, 7, 8], [4, 5], [9], [10, 11], [12]]
    assert tree.parent_path == [-1, 0, 0, 0, 1]
    assert tree.parent_row == [-1, 3, 1, 7, 4]


def test_links_name_the_rows_before_and_after():
    before, after = small_tree().links(13)
    assert before.tolist() == [-1, 0, 1, 2, 3, 4, 3, 6, 7, 1, 7, 10, 4]
    assert after.tolist() == [1, 2, 3, 4, 5, -1, 7, 8, -1, -1, 11, -1, -1]


@given(trees())
def test_links_make_the_tree_that_has_them(links):
    before, after = links
    tree = Tree.of_links(before, after)
    for found, given_links in zip(tree.links(len(before)), links, strict=True):
        np.testing.assert_array_equal(found, given_links)
    assert sorted(row for path in tree.paths for row in path) == list(range(len(before)))
    assert (tree.parent_path[0], tree.parent_row[0]) == (-1, -1)
    assert all(row in tree.paths[path] for path, row in zip(tree.parent_path[1:], tree.parent_row[1:], strict=True))


@given(trees(), st.data())
def test_exchanging_ends_keeps_what_came_before_every_row_and_is_undone_by_itself(links, data):
    tree = Tree.of_links(*links)
    torn = [
        number
        for number in range(1, len(tree.paths))
        if tree.paths[tree.parent_path[number]][-1] != tree.parent_row[number]
    ]
    if not torn:
        return
    number = data.draw(st.sampled_from(torn))
    exchanged = deepcopy(tree)
    exchanged.exchange_ends(number)
    np.testing.assert_array_equal(exchanged.links(len(links[0]))[0], links[0])
    assert exchanged.paths != tree.paths
    exchanged.exchange_ends(number)
    assert exchanged == tree


def test_a_torn_path_takes_along_what_left_it_behind_the_tear():
    tree = Tree([[0, 1, 2, 3, 4], [5, 6], [7, 8], [9]], [-1, 0, 0, 2], [-1, 1, 3, 8])
    tree.tear(0, 2, 6)
    assert tree.paths == [[0, 1], [5, 6], [7, 8], [9], [2, 3, 4]]
    assert tree.parent_path == [-1, 0, 4, 2, 1]
    assert tree.parent_row == [-1, 1, 3, 8, 6]


def test_where_a_path_is_left_by_what_branches_from_its_branches():
    tree = Tree([[0, 1, 2, 3, 4], [5, 6], [7, 8], [9]], [-1, 0, 0, 2], [-1, 1, 3, 8])
    assert [tree.leaves(0, other) for other in (1, 2, 3)] == [1, 3, 3]
    assert [tree.leaves(2, other) for other in (0, 1, 3)] == [-1, -1, 1]
