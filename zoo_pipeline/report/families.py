"""Families of more than one trajectory: who left whom, and where; as rows of a table."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo_pipeline.counts import plural
from zoo_pipeline.report.content import Integers, ReportData, integers
from zoo_pipeline.report.formats import count, figure
from zoo_pipeline.report.ranking import Cell, Row, direction_cell
from zoo_pipeline.report.theme import colour

MOST_MEMBERS = 30  # rows of the table

# Heading, and whether the column is shown on narrow screens.
FAMILY_COLUMNS = (
    ("Trajectory", True),
    ("Family", False),
    ("Parent trajectory", True),
    ("Fork position", True),
    ("Checkpoints", False),
    ("Direction", True),
    ("Confidence", False),
)


@dataclass(frozen=True)
class Branch:
    """A trajectory as its family has it.

    Attributes:
        row: of the table of trajectories.
        number: of the trajectory.
        length: checkpoints in it.
        parent: number of the trajectory that it left; -1 for none.
        fork: position there of the checkpoint that it left; -1 for none.
        start: how many checkpoints lie between the root of the family and its first.
        depth: how many forks do.
    """

    row: int
    number: int
    length: int
    parent: int
    fork: int
    start: int
    depth: int

    @property
    def leaves_at(self) -> int:
        """Where its line begins, counted as `start`: at its parent's checkpoint; its own first without a parent."""
        return self.start - (self.parent >= 0)


@dataclass(frozen=True)
class Family:
    """Trajectories that share a start, as far as can be told: every one after its parent, of siblings the last first.

    In this order, one line below the other, no link between parent and child crosses a line.
    """

    number: int
    branches: list[Branch]


def branching_families(data: ReportData) -> list[Family]:
    """The families of more than one trajectory, the most branched first, of equals the one of most checkpoints."""
    numbers = integers(data.trajectories, "trajectory")
    family = _family_of(data, numbers)
    members: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(family >= 0).tolist():
        members[family[row]].append(row)
    length, parent, fork = (
        integers(data.trajectories, name) for name in ("length", "parent_trajectory", "parent_position")
    )
    several = {number: rows for number, rows in members.items() if len(rows) > 1}
    order = sorted(several, key=lambda number: (-len(several[number]), -int(length[several[number]].sum()), number))
    return [Family(number, _in_tree_order(several[number], numbers, length, parent, fork)) for number in order]


def family_rows(data: ReportData, families: Sequence[Family], most: int = MOST_MEMBERS) -> list[Row]:
    """The first rows of the table, in the order of `FAMILY_COLUMNS`."""
    places = [(family.number, branch) for family in families for branch in family.branches]
    rows = []
    for family, branch in places[:most]:
        (trajectory,) = data.trajectories.slice(branch.row, 1).to_pylist()
        cells = [
            Cell(str(branch.number)),
            Cell(str(family)),
            Cell(str(branch.parent) if branch.parent >= 0 else "none"),
            Cell(str(branch.fork) if branch.fork >= 0 else "–"),
            Cell(count(branch.length)),
            direction_cell(trajectory),
            Cell(figure(trajectory.get("direction_confidence"))),
        ]
        rows.append(Row(colour(branch.number), cells))
    return rows


def families_note(data: ReportData, families: Sequence[Family], most: int = MOST_MEMBERS) -> str:
    """What the table shows, and how much it leaves out."""
    every = len(set(_family_of(data, integers(data.trajectories, "trajectory")).tolist()) - {-1})
    members = sum(len(family.branches) for family in families)
    hold = "holds" if len(families) == 1 else "hold"
    note = (
        f"{count(len(families))} of {plural(every, 'family')} {hold} more than one trajectory, {count(members)} in "
        "all, which share a start or left one another; the most branched first. Parents and forks are inferred from "
        "the weights, as everything here, and are less sure than who belongs together."
    )
    if members > most:
        note += f" The table leaves out {plural(members - most, 'trajectory')}; all are in trajectories.parquet."
    return note


def _family_of(data: ReportData, numbers: Integers) -> Integers:
    """int64[k]: the family of every trajectory; -1 where that is not known."""
    family = np.full(int(max(numbers.max(initial=-1), data.trajectory.max(initial=-1))) + 1, -1)
    kept = data.trajectory >= 0
    family[data.trajectory[kept]] = integers(data.assignments, "family")[kept]
    return family[numbers]


def _in_tree_order(
    rows: list[int], numbers: Integers, length: Integers, parent: Integers, fork: Integers
) -> list[Branch]:
    """The branches of a family, given its rows of the table and all of the table's columns.

    Trajectories whose parents are not in the family count as roots.
    """
    here = {int(numbers[row]) for row in rows}
    children: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        children[int(parent[row]) if int(parent[row]) in here else -1].append(row)
    found: dict[int, Branch] = {}
    # What is to be listed next is at the end.
    waiting = sorted(children[-1], reverse=True)
    while waiting:
        row = waiting.pop()
        above = found.get(int(parent[row]))
        number, at = int(numbers[row]), int(fork[row]) if above else -1
        start, depth = (above.start + at + 1, above.depth + 1) if above else (0, 0)
        found[number] = Branch(row, number, int(length[row]), above.number if above else -1, at, start, depth)
        waiting += sorted(children.pop(number, []), key=lambda child: (fork[child], -child))
    return list(found.values())
