"""Strategies for damage: to the bytes of a file, to a tree of plain values, and to a name."""

import json
import math
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

NAMES = (
    "../x",
    "../../etc/passwd",
    "/etc/passwd",
    "checkpoints/../../x.parquet",
    "checkpoints/",
    "",
    ".",
    "..",
    "CON",
    "a b",
    "a\nb",
    "a\x00b",
    "\x1b[31mred\x1b[0m",
    "\u202egnp.exe",
    "\udcff",
    "<script>alert(1)</script>",
    "{dataset}{x}",
    "x" * 300,
    "x" * 5_000,
)
NUMBERS = (
    -1,
    0,
    1,
    3,
    255,
    2**31,
    -(2**31) - 1,
    2**32,
    2**63,
    2**64,
    10**400,
    -(10**400),
    -0.0,
    1e-320,
    0.5,
    1e300,
    math.nan,
    math.inf,
    -math.inf,
)
DEEP = 600  # levels, more than a parser of recursive descent likes


def deep(levels: int) -> list[Any]:
    """Lists within lists."""
    tree: list[Any] = []
    for _ in range(levels):
        tree = [tree]
    return tree


values: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([*NUMBERS, *NAMES, None, True, False]),
    st.sampled_from([[], {}, [[]], {"a": {}}, deep(DEEP), list(range(3_000)), ["tanh"] * 3, [None], {"": None}]),
    st.integers(-5, 70),
    st.floats(),
    st.text(max_size=8),
)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with some flipped, missing, added or exchanged; never the same."""
    at = draw(st.integers(0, max(0, len(data) - 1)))
    length = draw(st.sampled_from([1, 1, 2, 4, 8, 64, 1_024]))
    match draw(st.sampled_from(["flip", "flip", "flip", "set", "remove", "add", "repeat", "cut", "zero", "end"])):
        case "flip" if data:
            bit = draw(st.integers(0, 7))
            return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
        case "set" if data:
            by = draw(st.integers(1, 255))
            return data[:at] + bytes([(data[at] + by) % 256]) + data[at + 1 :]
        case "remove" if data:
            return data[:at] + data[at + length :]
        case "add":
            return data[:at] + draw(st.binary(min_size=1, max_size=9)) + data[at:]
        case "repeat" if data:
            return data[: at + length] + data[at:]
        case "cut" if data:
            return data[:at]
        case "zero" if any(data[at : at + length]):
            part = data[at : at + length]
            return data[:at] + bytes(len(part)) + data[at + length :]
        case _:
            return data + draw(st.binary(min_size=1, max_size=9))


@st.composite
def changed(draw: st.DrawFn, tree: Any, changes: int = 3, hostile: st.SearchStrategy[Any] = values) -> Any:
    """A tree of plain values in which up to so many values are others, missing, or new."""
    for _ in range(draw(st.integers(1, changes))):
        path = draw(st.sampled_from(sorted(_paths(tree), key=repr)))
        action = draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "rename", "wrap"]))
        tree = _changed(tree, path, action, draw(hostile), draw(st.sampled_from([*NAMES, "extra", "name", "seeds"])))
    return tree


@st.composite
def json_bytes(draw: st.DrawFn, tree: Any) -> bytes:
    """The JSON of a changed tree, or damaged JSON."""
    if draw(st.booleans()):
        return json.dumps(draw(changed(tree)), indent=1).encode()
    text = json.dumps(tree, indent=1).encode()
    odd = (b"", b"\x00", b"\xff\xfe{}", b"null", b"[]", b"{}", b'"x"', b"1e999", b"9" * 5_000, b"[" * 50_000, b"{" * 9)
    return draw(st.one_of(damaged(text), damaged(text), st.sampled_from(odd)))


def _paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    below = tree.items() if isinstance(tree, dict) else enumerate(tree[:4]) if isinstance(tree, list) else ()
    if len(path) < 6:
        for key, value in below:
            yield from _paths(value, (*path, key))


def _changed(tree: Any, path: tuple[Any, ...], action: str, value: Any, name: str) -> Any:
    if len(path) > 1 or (path and action in ("replace", "wrap", "add")):
        copy = list(tree) if isinstance(tree, list) else dict(tree)
        copy[path[0]] = _changed(tree[path[0]], path[1:], action, value, name)
        return copy
    if path and isinstance(tree, dict):
        rest = {key: each for key, each in tree.items() if key != path[0]}
        return rest | {name: tree[path[0]]} if action == "rename" else rest
    if path:
        return [each for number, each in enumerate(tree) if number != path[0]]
    if action == "add":
        return {**tree, name: value} if isinstance(tree, dict) else [*tree, value] if isinstance(tree, list) else value
    return [tree] if action == "wrap" else value
