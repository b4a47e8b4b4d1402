"""Families that branch: their order, their table, and the tree."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from fake_zoo import fake_zoo

from zoo_pipeline.report import families as module
from zoo_pipeline.report import family_tree, render
from zoo_pipeline.report.families import branching_families, families_note, family_rows
from zoo_pipeline.report.family_tree import family_tree_panel
from zoo_pipeline.report.theme import colour

# Twelve trajectories of 8 checkpoints. 2 is the root of a family: 5 left it at 3, 6 at 6, 7 left 5 at 2. Of another, 0
# and 9 share a start, and 4 left 9 at 0. 1 and 3 are a family of two. The others are alone.
FAMILY = [1, 2, 0, 2, 1, 0, 0, 0, 3, 1, 4, 5]
PARENT = {5: (2, 3), 6: (2, 6), 7: (5, 2), 4: (9, 0), 3: (1, 7)}


def branching(family=FAMILY, parent=PARENT, checkpoints=8, **options):
    zoo = fake_zoo(len(family), checkpoints, 40, **options)
    owner = zoo.assignments["trajectory"].to_numpy()
    of_row = np.where(owner >= 0, np.array(family)[owner], -1).astype(np.int32)
    k = zoo.trajectories.num_rows
    columns = {
        name: pa.array([parent[number][at] if number in parent else None for number in range(k)], pa.int32())
        for at, name in enumerate(("parent_trajectory", "parent_position"))
    }
    trajectories = zoo.trajectories
    for name, values in columns.items():
        trajectories = trajectories.append_column(name, values)
    return replace(
        zoo, assignments=zoo.assignments.append_column("family", pa.array(of_row)), trajectories=trajectories
    )


@pytest.fixture(scope="module")
def zoo():
    return branching(undecided=3)  # 9, 10 and 11


def section(page: str) -> str:
    (found,) = re.findall(r'<section id="families">.*?</section>', page, flags=re.DOTALL)
    return found


def cells(text: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(.*?)</tr>", text.partition("<tbody>")[2], flags=re.DOTALL)
    return [re.findall(r">([^<>]*)</td>", row) for row in rows]


def test_the_most_branched_come_first_and_children_below_their_parents(zoo):
    found = branching_families(zoo)
    assert [family.number for family in found] == [0, 1, 2]
    first, second, third = (
        [(one.number, one.parent, one.fork, one.start, one.depth) for one in family.branches] for family in found
    )
    assert first == [(2, -1, -1, 0, 0), (6, 2, 6, 7, 1), (5, 2, 3, 4, 1), (7, 5, 2, 7, 2)]
    assert second == [(0, -1, -1, 0, 0), (9, -1, -1, 0, 0), (4, 9, 0, 1, 1)]
    assert third == [(1, -1, -1, 0, 0), (3, 1, 7, 8, 1)]


def test_of_families_as_branched_that_of_more_checkpoints_comes_first():
    zoo = branching([0, 0, 1, 1], {})
    lengths = pa.array([3, 3, 3, 4], pa.int32())
    longer = zoo.trajectories.set_column(zoo.trajectories.column_names.index("length"), "length", lengths)
    assert [family.number for family in branching_families(replace(zoo, trajectories=longer))] == [1, 0]


def test_the_table_says_who_left_whom_and_where(zoo):
    shown = cells(section(render(zoo)))
    assert [row[:5] for row in shown] == [
        ["2", "0", "none", "–", "8"],
        ["6", "0", "2", "6", "8"],
        ["5", "0", "2", "3", "8"],
        ["7", "0", "5", "2", "8"],
        ["0", "1", "none", "–", "8"],
        ["9", "1", "none", "–", "8"],
        ["4", "1", "9", "0", "8"],
        ["1", "2", "none", "–", "8"],
        ["3", "2", "1", "7", "8"],
    ]
    assert [row[5:] for row in shown if row[0] in ("7", "9")] == [["right", "0.990"], ["undecided", "0.100"]]


def test_only_so_many_rows_are_shown_and_the_rest_is_counted(zoo, monkeypatch):
    found = branching_families(zoo)
    assert "3 of 6 families hold more than one trajectory, 9 in all" in families_note(zoo, found)
    assert "leaves out" not in families_note(zoo, found)
    assert [row.cells[0].text for row in family_rows(zoo, found, 5)] == ["2", "6", "5", "7", "0"]
    assert "The table leaves out 4 trajectories;" in families_note(zoo, found, 5)
    assert module.MOST_MEMBERS == 30
    page = section(render(branching(list(range(20)) * 2, {})))
    assert len(cells(page)) == 30
    assert "The table leaves out 10 trajectories;" in page


def test_the_tree_has_a_line_per_trajectory_and_a_link_at_every_fork(zoo):
    family = branching_families(zoo)[0]
    links, *lines = family_tree_panel(zoo, family).figure.data
    assert [list(line.x) for line in lines] == [[0, 7], [6, 14], [3, 11], [6, 14]]
    assert [list(line.y) for line in lines] == [[0, 0], [-1, -1], [-2, -2], [-3, -3]]
    assert [line.line.color for line in lines] == [colour(number) for number in (2, 6, 5, 7)]
    assert np.reshape(links.x, (-1, 3))[:, :2].tolist() == [[6, 6], [3, 3], [6, 6]]
    assert np.reshape(links.y, (-1, 3))[:, :2].tolist() == [[0, -1], [0, -2], [-2, -3]]


@pytest.mark.parametrize("seed", range(5))
def test_no_link_of_a_tree_crosses_a_line(seed):
    random = np.random.default_rng(seed)
    parent = {number: (int(random.integers(number)), int(random.integers(8))) for number in range(1, 40)}
    zoo = branching([0] * 40, parent)
    links, *lines = family_tree_panel(zoo, branching_families(zoo)[0]).figure.data
    begins = {line.y[0]: line.x[0] for line in lines}
    assert len(begins) == 40
    for at, (above, below) in zip(links.x[::3], np.reshape(links.y, (-1, 3))[:, :2], strict=True):
        assert all(begins[y] >= at for y in begins if below < y < above)


def test_what_shares_a_start_is_joined_by_a_dotted_line_and_the_undecided_are_dashed(zoo):
    panel = family_tree_panel(zoo, branching_families(zoo)[1])
    _, shared, *lines = panel.figure.data
    assert (list(shared.x), list(shared.y), shared.line.dash) == ([0, 0], [0, -1], "dot")
    assert [line.line.dash for line in lines] == ["solid", "dash", "solid"]
    assert "Dotted" in panel.caption
    assert "Dashed" in panel.caption
    assert "Dotted" not in family_tree_panel(zoo, branching_families(zoo)[0]).caption


def test_of_large_families_those_nearest_the_root_are_drawn_and_the_others_counted(zoo, monkeypatch):
    monkeypatch.setattr(family_tree, "MOST_LINES", 3)
    panel = family_tree_panel(zoo, branching_families(zoo)[0])
    assert list(panel.figure.layout.yaxis.ticktext) == ["2", "6", "5"]
    assert "3 of 4 trajectories are drawn" in panel.caption


def test_a_chain_of_a_thousand_forks_needs_no_recursion():
    parent = {number: (number - 1, 1) for number in range(1, 1_000)}
    (family,) = branching_families(branching([0] * 1_000, parent, checkpoints=2))
    assert [branch.depth for branch in family.branches] == list(range(1_000))
    assert family.branches[-1].start == 2 * 999


def test_the_page_has_the_tree_and_no_label_is_read_as_html(zoo):
    page = render(zoo)
    drawn = json.loads(re.search(r'<script id="figures"[^>]*>(.*?)</script>', page, flags=re.DOTALL)[1])
    assert drawn["family-tree"]["data"][-1]["hovertext"] == "<b>trajectory 7</b>, 8 checkpoints<br>left 5 at position 2"
    assert 'id="family-tree"' in section(page)
    hostile = [["<script>alert(1)</script>"] * 12]
    column = zoo.trajectories.column_names.index("direction")
    spoiled = zoo.trajectories.set_column(column, "direction", hostile)
    assert "<script>alert" not in render(replace(zoo, trajectories=spoiled))


def test_there_is_no_panel_where_nothing_branches_or_nothing_is_known_of_families():
    for alone in (branching(list(range(6)), {}), fake_zoo(6, 8, 40)):
        page = render(alone)
        assert "family-tree" not in page
        assert 'id="families"' not in page


def test_models_that_were_left_out_have_no_family():
    zoo = branching([0, 0, 1, 1], {1: (0, 2)}, diverged=2)
    (family,) = branching_families(zoo)
    assert [branch.number for branch in family.branches] == [0, 1]
