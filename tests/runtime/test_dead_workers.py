"""An analysis whose worker dies while it writes: begun again, or told in one line."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ray import cloudpickle

from zoo_pipeline.cli import main
from zoo_pipeline.runtime import ray_executor
from zoo_pipeline.runtime.analysis import _analyze_sources_here
from zoo_pipeline.store.analyses import analysis_exists
from zoo_pipeline.store.filesystem import Files


def analyze_and_die(sources, layout, out, name, *, threads: int):
    """The worker's process ends at its third file, as often as the file beside the results says."""
    deaths, real, written = Path(f"{out}.deaths"), Files.replace, []

    def dying(files, file, data) -> None:
        written.append(file)
        if len(written) == 3 and (left := int(deaths.read_text())):
            deaths.write_text(str(left - 1))
            os._exit(1)
        real(files, file, data)

    Files.replace = dying
    try:
        return _analyze_sources_here(sources, layout, out, name, threads=threads)
    finally:
        Files.replace = real


@pytest.fixture
def bag(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file
    monkeypatch.setattr("zoo_pipeline.runtime.analysis._analyze_sources_here", analyze_and_die)
    random = np.random.default_rng(0)
    paths = 5 * random.normal(size=(3, 1, 40)) + np.cumsum(0.3 * random.normal(size=(3, 5, 40)), axis=1)
    pq.write_table(pa.table({"weights": paths.reshape(15, 40).tolist()}), "x.parquet")
    return tmp_path


def analyze(*more: str) -> int:
    return main(["analyze", "x.parquet", "--out", "out", "--ray-address", "local", *more])


def test_an_analysis_whose_worker_dies_while_it_writes_is_made_again(bag):
    (bag / "out.deaths").write_text("1")
    assert analyze() == 0
    assert (bag / "out.deaths").read_text() == "0"
    summary = json.loads((bag / "out/analysis/default/d-40/summary.json").read_text())
    assert summary["trajectories_found"] == 3
    rows = pq.read_table(bag / "out/analysis/default/d-40/assignments.parquet")
    assert len(rows) == 15
    assert not list(bag.rglob(".*.tmp"))


def test_an_analysis_whose_workers_all_die_is_told_in_one_line_and_counts_as_none(bag, capsys, monkeypatch):
    monkeypatch.setattr(ray_executor, "MAX_RETRIES", 0)
    (bag / "out.deaths").write_text("99")
    assert analyze() == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("zoo: analysis: Ray could not finish it: its worker died as often as it was begun again")
    assert (bag / "out.deaths").read_text() == "98"
    assert not analysis_exists(Files("out"), "default")
    (bag / "out.deaths").write_text("0")
    assert analyze("--executor", "inline") == 0
    assert analysis_exists(Files("out"), "default")
