"""The benchmark of datasets: its run is one, its files hold the same rows, and its figures are there."""

import numpy as np
import torch

from benchmarks import dataset as study
from zoo_pipeline import Zoo
from zoo_pipeline.store.integrity import verify
from zoo_pipeline.store.rundir import RunDirectory


def test_its_run_is_whole_and_its_files_hold_rows_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "SHARD_BYTES", 4 * 8 * 50 * 2)
    root = str(tmp_path / "run")
    study.make_run(root, 250, 8)
    found = verify(RunDirectory(root))
    assert (found["damaged"], found["shards"]) == ({}, 3)
    study.save_files(tmp_path / "files", root, np.array([0, 3, 249]))
    saved = [torch.load(tmp_path / "files" / f"{number}.pt")["weights"] for number in range(3)]
    assert torch.equal(torch.stack(saved), torch.from_numpy(Zoo(root).weights()[[0, 3, 249]]))


def test_its_figures_are_of_both_sides(tmp_path, monkeypatch):
    monkeypatch.setattr(study, "SECONDS", 0.05)
    found = study.measure(tmp_path, 600, 8, 100)
    assert (found["rows"], found["sample"], found["weights_bytes"]) == (600, 100, 600 * 8 * 4)
    for state in ("cold", "warm"):
        rates = found[f"random_rows_per_s_{state}"]
        assert found[f"ratio_{state}"] == round(rates["ours"] / rates["files"], 1) > 0
    assert found["pass_mb_per_s"].keys() == {"stream", "stream_shuffled", "cache"}
