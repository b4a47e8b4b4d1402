"""One analysis of a run: four tables, and a summary that is written last."""

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import ANALYSIS
from zoo_pipeline.store.schema import encode_table

TABLES = ("assignments", "trajectories", "geometry", "linkage")


@dataclass(frozen=True)
class Analysis:
    """The tables of docs/format.md and the summary."""

    assignments: pa.Table
    trajectories: pa.Table
    geometry: pa.Table
    linkage: pa.Table
    summary: dict[str, Any]


def analysis_exists(files: Files, name: str) -> bool:
    """Whether an analysis of that name is complete."""
    return files.exists(f"{ANALYSIS}/{name}/summary.json")


def write_analysis(files: Files, name: str, analysis: Analysis) -> None:
    """Write an analysis, in place of an older one of the same name; its summary comes last."""
    folder = f"{ANALYSIS}/{name}"
    if analysis_exists(files, name):
        files.remove(f"{folder}/summary.json")
    for table in TABLES:
        files.replace(f"{folder}/{table}.parquet", encode_table(getattr(analysis, table)))
    files.replace(f"{folder}/summary.json", (json.dumps(analysis.summary, indent=1) + "\n").encode())


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
    except (pa.ArrowInvalid, ValueError) as error:
        raise StoreError(f"{files.at(folder)}: damaged ({error}); run zoo analyze again with --overwrite") from None
    return Analysis(summary=summary, **tables)


def _read_table(files: Files, name: str) -> pa.Table:
    return pq.read_table(pa.BufferReader(files.read(name)), use_threads=False)  # as `open_shard` says
