"""Analyses: four tables each, and a summary that is written last."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import ANALYSIS, REPORT
from zoo_pipeline.store.schema import encode_table
from zoo_pipeline.store.seal import is_intact

TABLES = ("assignments", "trajectories", "geometry", "linkage")
CLAIMS = "claims.parquet"


@dataclass(frozen=True)
class Analysis:
    """The tables of docs/format.md and the summary; claims where names say what is what."""

    assignments: pa.Table
    trajectories: pa.Table
    geometry: pa.Table
    linkage: pa.Table
    summary: dict[str, Any]
    claims: pa.Table | None = None


@dataclass(frozen=True)
class AnalysedPart:
    """The analysis of all rows of one layout, of several that were made together, and its page."""

    name: str
    analysis: Analysis
    page: str


def analysis_exists(files: Files, name: str) -> bool:
    """Whether an analysis of that name is complete."""
    return files.exists(f"{ANALYSIS}/{name}/summary.json")


def write_analysis(files: Files, name: str, analysis: Analysis) -> None:
    """Write an analysis, in place of an older one of the same name; its summary comes last.

    Raises:
        StoreError: the disk is full, or the like; neither the older one nor a part of the new one is left then.
    """
    folder = f"{ANALYSIS}/{name}"
    if analysis_exists(files, name):
        files.remove(f"{folder}/summary.json")
    with _whole_or_none(files, folder):
        for table in TABLES:
            files.replace(f"{folder}/{table}.parquet", encode_table(getattr(analysis, table)))
        if analysis.claims is not None:
            files.replace(f"{folder}/{CLAIMS}", encode_table(analysis.claims))
        files.replace(f"{folder}/summary.json", (json.dumps(analysis.summary, indent=1) + "\n").encode())


def check_place(files: Files) -> None:
    """Refuse a place that holds other things than analyses; change nothing.

    Raises:
        StoreError: something else is there, or it cannot be written to.
    """
    foreign = [name for name in files.names() if name != ANALYSIS]
    if foreign:
        raise StoreError(
            f"{files.root}: not empty and no place of analyses (holds {', '.join(foreign[:3])}); "
            f"name a new or empty directory"
        )
    files.check_writable()


def write_parts(files: Files, name: str, inputs: Sequence[str], parts: Sequence[AnalysedPart]) -> None:
    """Write analyses that were made together, in place of older ones of the same name; the summary of all comes last.

    Args:
        files: where they go.
        name: of the whole.
        inputs: what was analysed, as the user named it.
        parts: the analyses and their pages.

    Raises:
        StoreError: as `write_analysis`.
    """
    folder = f"{ANALYSIS}/{name}"
    if analysis_exists(files, name):
        files.remove(f"{folder}/summary.json")
    if name in files.names(ANALYSIS):  # of an older analysis, perhaps with other parts, or of one that was interrupted
        files.remove(folder)
    figures = ("checkpoints", "dimension", "layout_known", "left_out", "trajectories_found", "trajectories_true")
    summary = {
        "inputs": list(inputs),
        "checkpoints": sum(part.analysis.summary["checkpoints"] for part in parts),
        "parts": {part.name: {figure: part.analysis.summary[figure] for figure in figures} for part in parts},
    }
    with _whole_or_none(files, folder):
        for part in parts:
            write_analysis(files, f"{name}/{part.name}", part.analysis)
            files.replace(f"{folder}/{part.name}/{REPORT}", part.page.encode())
        files.replace(f"{folder}/summary.json", (json.dumps(summary, indent=1) + "\n").encode())


def read_analysis(files: Files, name: str) -> Analysis:
    """Read an analysis.

    Raises:
        StoreError: there is none of that name, or it is damaged.
    """
    if not analysis_exists(files, name):
        raise StoreError(f"{files.root}: has no analysis {name}; run zoo analyze on it first")
    folder = f"{ANALYSIS}/{name}"
    try:
        tables = {table: _read_table(files, f"{folder}/{table}.parquet") for table in TABLES}
        summary = json.loads(files.read(f"{folder}/summary.json"))
        claims = _read_table(files, f"{folder}/{CLAIMS}") if isinstance(summary, dict) and "claims" in summary else None
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{files.at(folder)}: damaged ({error}); run zoo analyze again with --overwrite") from None
    return Analysis(summary=summary, claims=claims, **tables)


def whole_summary(files: Files, name: str) -> dict[str, Any] | None:
    """The summary of an analysis of a complete run; None where there is none that is sound."""
    with suppress(StoreError):
        summary = read_analysis(files, name).summary
        if isinstance(summary, dict) and summary.get("complete") is True:
            return summary
    return None


@contextmanager
def _whole_or_none(files: Files, folder: str) -> Iterator[None]:
    """Leave nothing of a folder whose writing is given up."""
    try:
        yield
    except BaseException:  # also where somebody presses Ctrl-C
        with suppress(StoreError):
            files.remove(folder)
        raise


def _read_table(files: Files, name: str) -> pa.Table:
    data = files.read(name)
    if not is_intact(data):
        raise ValueError(f"{name}: its seal is of other bytes")
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as file:  # as `open_shard` says
        return file.read(use_threads=False)
