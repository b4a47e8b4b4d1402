"""The tests that docs/format.md names beside the invariants of the commit protocol are there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
TEXT = (TESTS.parent / "docs" / "format.md").read_text()
ROWS = re.findall(
    r"^\| (\d+) \| .+? \| (.+) \|$", TEXT.split("## The commit protocol")[1].split("\n## ")[0], re.MULTILINE
)


def test_every_invariant_is_held_by_tests_that_are_there():
    assert [int(number) for number, _ in ROWS] == list(range(1, len(ROWS) + 1))
    assert len(ROWS) >= 12
    for number, held_by in ROWS:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", held_by)
        assert named, f"invariant {number} names no test"
        for file, test in named:
            functions = {node.name for node in ast.walk(ast.parse((TESTS / file).read_text())) if hasattr(node, "name")}
            assert test in functions, f"invariant {number}: {file} has no {test}"
