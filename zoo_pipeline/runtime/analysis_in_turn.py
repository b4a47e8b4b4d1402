"""The analysis of a run that several drivers end together: one makes it, and the others take it."""

from functools import partial
from typing import Any

from zoo_pipeline.runtime.analysis import analyze_run
from zoo_pipeline.runtime.executor import ANALYSIS, Executor
from zoo_pipeline.runtime.progress import tell_line
from zoo_pipeline.store.analyses import analysis_exists, whole_summary
from zoo_pipeline.store.claim import claimed
from zoo_pipeline.store.filesystem import Files


def analyze_in_turn(executor: Executor, root: str, name: str, memory_bytes: int) -> dict[str, Any]:
    """Analyse a complete run; of drivers that ended it together one does, and the others take its analysis.

    Arguments, result and errors are those of `analyze_run`.
    """
    files = Files(root)
    told = partial(tell_line, ANALYSIS, f"another command makes the analysis {name}; waiting for it")
    with claimed(files, name, overwrite=True, wait=told) as theirs:
        if theirs and (summary := whole_summary(files, name)):
            return summary
        # Where nobody can be waited for, as in an object store: two write the same, and nobody removes what is read.
        return analyze_run(executor, root, name, memory_bytes, once=not analysis_exists(files, name))
