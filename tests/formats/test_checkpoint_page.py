"""docs/checkpoint-files.md tells the truth."""

import re
from pathlib import Path

from zoo_pipeline.formats import pickles, stand_ins

PAGE = (Path(__file__).parents[2] / "docs" / "checkpoint-files.md").read_text()


def test_the_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(example, "docs/checkpoint-files.md", "exec"), {})


def test_the_limits_are_those_of_the_code():
    assert f"at most {pickles.MOST_BYTES >> 20} MiB and\n{pickles.MOST_OPCODES:,} opcodes" in PAGE
    named = len(stand_ins._NAMED) + sum(map(len, stand_ins._INERT.values()))
    assert f"some {round(named, -1)} names" in PAGE
