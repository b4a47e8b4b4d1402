"""Tree: the paths of a family while it is found out which branched from which."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass
class Tree:
    """Paths being put together; see `Branches` for the attributes."""

    paths: list[list[int]]
    parent_path: list[int]
    parent_row: list[int]

    def line(self, number: int) -> list[int]:
        """The rows from the root to the end of a path."""
        return self.before(number) + self.paths[number]

    def before(self, number: int) -> list[int]:
        """The rows from the root to where a path branches off."""
        if self.parent_row[number] < 0:
            return []
        up = self.line(self.parent_path[number])
        return up[: up.index(self.parent_row[number]) + 1]

    def depth(self) -> Rows:
        """How many rows come before each of m, from the root on, int64[m]."""
        depth = np.empty(sum(map(len, self.paths)), np.int64)
        for number, path in enumerate(self.paths):
            depth[path] = len(self.before(number)) + np.arange(len(path))
        return depth

    def descent(self, number: int) -> list[int]:
        """A path and all that branch from it, directly or not."""
        found = [number]
        for one in found:
            found += [other for other, parent in enumerate(self.parent_path) if parent == one]
        return found

    def leaves(self, number: int, other: int) -> int:
        """At which place of a path another, or what it branches from, left it; −1 if it did not."""
        while other >= 0:
            if self.parent_path[other] == number:
                return self.paths[number].index(self.parent_row[other])
            other = self.parent_path[other]
        return -1

    def tear(self, number: int, place: int, row: int) -> None:
        """Let the rows of a path from a place on be the last path, which leaves a row that does not come after them."""
        path = self.paths[number]
        moved = path[place:]
        self.paths[number] = path[:place]
        for other, left in enumerate(self.parent_row):
            if left in moved:
                self.parent_path[other] = len(self.paths)
        self.paths.append(moved)
        self.parent_path.append(self.path_of(row))
        self.parent_row.append(row)

    def exchange_ends(self, number: int) -> None:
        """Let a branch continue its parent, and what came after it there be the branch."""
        parent, path = self.parent_path[number], self.paths[self.parent_path[number]]
        place = path.index(self.parent_row[number])
        moved, rest = self.paths[number], path[place + 1 :]
        self.paths[parent], self.paths[number] = path[: place + 1] + moved, rest
        for other, row in enumerate(self.parent_row):
            if row in moved:
                self.parent_path[other] = parent
            elif row in rest:
                self.parent_path[other] = number

    def links(self, m: int) -> tuple[Rows, Rows]:
        """Of each of m rows the one before it, in its path or where that branched off, and the one after it, or −1."""
        before, after = np.full(m, -1), np.full(m, -1)
        for path, left in zip(self.paths, self.parent_row, strict=True):
            before[path] = [left, *path[:-1]]
            after[path[:-1]] = path[1:]
        return before, after

    @classmethod
    def of_links(cls, before: Rows, after: Rows) -> "Tree":
        """The tree of some links, see `links`; the root's path first."""
        heads = np.flatnonzero((before < 0) | (after[before] != np.arange(len(before))))
        paths: list[list[int]] = []
        number = np.empty(len(before), np.int64)
        for head in heads[np.argsort(before[heads] >= 0, kind="stable")].tolist():
            walk = [head]
            while after[walk[-1]] >= 0:
                walk.append(int(after[walk[-1]]))
            number[walk] = len(paths)
            paths.append(walk)
        left = [int(before[path[0]]) for path in paths]
        return cls(paths, [int(number[row]) if row >= 0 else -1 for row in left], left)

    def path_of(self, row: int) -> int:
        """The number of the path that a row is on."""
        return next(number for number, path in enumerate(self.paths) if row in path)
