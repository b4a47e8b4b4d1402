"""All targets, and how one case is judged: in an empty folder of its own, which it must leave nothing outside of."""

import tempfile
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.configurations import check_configuration, configurations
from benchmarks.fuzz.datasets import check_dataset, check_idx, datasets, idx_files
from benchmarks.fuzz.documents import check_document, documents
from benchmarks.fuzz.example import Example
from benchmarks.fuzz.shards import check_harm, harms


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes:
        cases: how they are drawn.
        check: judges a case in an empty folder; raises `Finding`.
        share: of all cases.
    """

    cases: st.SearchStrategy[Any]
    check: Callable[[Any, Path], str]
    share: float

    def judge(self, case: Any) -> str:
        """What comes of a case.

        Raises:
            Finding: what must not.
        """
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder, chdir(folder):
            return self.check(case, Path(folder))


def targets(example: Example) -> dict[str, Target]:
    """All targets by name.

    Args:
        example: the run of which copies are damaged.
    """
    return {
        "configurations": Target(configurations(), check_configuration, 0.3),
        "idx": Target(idx_files(), check_idx, 0.15),
        "datasets": Target(datasets(), check_dataset, 0.2),
        "shards": Target(harms(example), partial(_of, check_harm, example), 0.25),
        "documents": Target(documents(example), partial(_of, check_document, example), 0.1),
    }


def _of(check: Callable[[Any, Example, Path], str], example: Example, case: Any, place: Path) -> str:
    return check(case, example, place)
