"""Analyses of what is not one run: several runs, runs that others wrote, plain files, and all of them together."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.errors import StoreError, ZooError
from zoo_pipeline.models import Layout
from zoo_pipeline.store.analyses import analysis_exists
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.shards import contents_sha256
from zoo_pipeline.workflow import Options, analyze, analyze_into, report, train
from zoo_pipeline.zoo import Zoo

PARAMETERS = 1_210
SMALL = ("zoo.training.epochs=3", "resources={stack: 2, threads: 1}")


def into(out, *inputs, **options):
    return analyze_into(str(out), [str(given) for given in inputs], executor="inline", **options)


def table(out, part, name="assignments", analysis="default"):
    return pq.read_table(out / "analysis" / analysis / part / f"{name}.parquet")


def trajectories(found) -> list[set[int]]:
    """The rows of every recovered trajectory."""
    labels = found["trajectory"].to_numpy()
    return sorted(({*np.flatnonzero(labels == number).tolist()} for number in np.unique(labels[labels >= 0])), key=min)


@pytest.fixture(scope="module")
def other_run(tmp_path_factory) -> Path:
    """Three models of the same network as `small_run`'s, from other seeds. Read only."""
    out = tmp_path_factory.mktemp("other") / "run"
    seeds = ("zoo.population.seeds=3", "zoo.population.first_seed=50")
    train(Options("digits-demo", str(out), (*SMALL, *seeds), executor="inline"))
    return out


@pytest.fixture
def plain(small_run, tmp_path) -> Path:
    """A folder with the checkpoints of `small_run` in one file, shuffled, with nothing but weights."""
    (tmp_path / "bag").mkdir()
    weights = Zoo(str(small_run)).weights()[shuffle()]
    pq.write_table(pa.table({"weights": weights.astype(np.float64).tolist()}), tmp_path / "bag" / "x.parquet")
    return tmp_path / "bag"


def shuffle():
    return np.random.default_rng(3).permutation(24)


def test_several_runs_are_analysed_as_one_bag_and_their_models_told_apart(small_run, other_run, tmp_path):
    summaries = into(tmp_path / "out", small_run, other_run)
    assert list(summaries) == ["d-1210"]
    summary = summaries["d-1210"]
    assert (summary["trajectories_true"], summary["trajectories_found"], summary["checkpoints"]) == (9, 9, 36)
    assert summary["ari"] == summary["kendall_tau_min"] == summary["direction_accuracy"] == 1.0
    assert (summary["run"], summary["name"], summary["complete"]) == (None, "d-1210", True)
    found = table(tmp_path / "out", "d-1210")
    keys = [Zoo(str(run)).key for run in (small_run, other_run)]
    assert found["run"].to_pylist() == [keys[0]] * 24 + [keys[1]] * 12
    assert found["position"].to_pylist() == found["epoch"].to_pylist() == list(range(4)) * 9
    assert found["file"].null_count == found["row"].null_count == 36
    owners = table(tmp_path / "out", "d-1210", "trajectories").select(["run", "model_id", "purity"]).to_pylist()
    assert sorted((owner["run"], owner["model_id"]) for owner in owners) == sorted(
        [(keys[0], model) for model in range(6)] + [(keys[1], model) for model in range(3)]
    )
    page = (tmp_path / "out/analysis/default/d-1210/report.html").read_text()
    assert f"{keys[1]} / 2" in page
    assert "9 of 9" in page


def test_one_run_analysed_elsewhere_has_the_results_it_has_in_place(small_run, tmp_path):
    before = sorted(path.name for path in small_run.rglob("*"))
    into(tmp_path / "out", small_run)
    assert sorted(path.name for path in small_run.rglob("*")) == before
    there, here = pq.read_table(small_run / "analysis/default/assignments.parquet"), table(tmp_path / "out", "d-1210")
    for column in ("trajectory", "position", "confidence", "leaf"):
        assert here[column].to_numpy().tolist() == there[column].to_numpy().tolist(), column
    linkage = table(tmp_path / "out", "d-1210", "linkage")
    assert contents_sha256(linkage) == contents_sha256(pq.read_table(small_run / "analysis/default/linkage.parquet"))


def test_plain_weights_come_back_under_file_and_row_without_a_score(small_run, plain, tmp_path):
    summary = into(tmp_path / "out", plain)["d-1210"]
    assert (summary["trajectories_found"], summary["trajectories_true"], summary["ari"]) == (6, None, None)
    assert (summary["layout_known"], summary["run"]) == (False, None)
    found = table(tmp_path / "out", "d-1210")
    assert found["row"].to_pylist() == list(range(24))
    assert set(found["file"].to_pylist()) == {f"{plain}/x.parquet"}
    models = Zoo(str(small_run)).checkpoints()["model_id"].to_numpy()[shuffle()]
    assert trajectories(found) == sorted(({*np.flatnonzero(models == model).tolist()} for model in range(6)), key=min)
    epochs = Zoo(str(small_run)).checkpoints()["epoch"].to_numpy()[shuffle()]
    assert found["position"].to_numpy().tolist() == epochs.tolist()
    unknown = table(tmp_path / "out", "d-1210", "trajectories")
    for column in ("run", "model_id", "purity", "exact", "kendall_tau", "order_exact", "direction_correct"):
        assert unknown[column].null_count == 6, column
    page = (tmp_path / "out/analysis/default/d-1210/report.html").read_text()
    assert "What is true is not known here, so nothing is scored." in page
    assert f"{plain}/x.parquet" in page
    assert "models.parquet" not in page


def test_labels_in_plain_files_only_score(small_run, plain, tmp_path):
    into(tmp_path / "blind", plain)
    rows = Zoo(str(small_run)).checkpoints().take(pa.array(shuffle()))
    labelled = pq.read_table(plain / "x.parquet")
    for name in ("model_id", "step"):
        labelled = labelled.append_column(name, rows[name])
    epochs = pa.array([None] * 23 + [1], pa.int32())
    pq.write_table(labelled.append_column("epoch", epochs), plain / "x.parquet")
    summary = into(tmp_path / "scored", plain)["d-1210"]
    assert summary["ari"] == summary["kendall_tau_min"] == summary["direction_accuracy"] == 1.0  # by step
    for name in ("trajectory", "position", "confidence", "leaf"):
        blind, scored = (table(tmp_path / out, "d-1210")[name].to_pylist() for out in ("blind", "scored"))
        assert blind == scored, name


def test_a_layout_is_taken_from_a_file_or_from_the_metadata(small_run, plain, tmp_path):
    layout = tmp_path / "layout.json"
    layout.write_text(Zoo(str(small_run)).layout.to_json())
    assert into(tmp_path / "a", plain, layout=layout)["d-1210"]["layout_known"] is True
    assert list(into(tmp_path / "b", plain, small_run)) == [
        part for part in sorted(into(tmp_path / "c", small_run, plain)) if part.startswith("d-1210-")
    ]  # known and unknown layouts stay apart, in whatever order they are named
    joined = into(tmp_path / "d", plain, small_run / "checkpoints", layout=layout)
    assert joined["d-1210"]["checkpoints"] == 48
    layout.write_text('{"version": 1, "order": "C", "tensors": [{"name": "w", "shape": [9], "offset": 0}]}')
    with pytest.raises(StoreError, match=r"--layout: describes 9 weights, but the rows have 1,210"):
        into(tmp_path / "e", plain, layout=layout)
    assert not (tmp_path / "e").exists()
    layout.write_text(Layout.of({"w": (11, 110)}).to_json())
    with pytest.raises(StoreError, match=r"--layout: is not needed; the files say another one"):
        into(tmp_path / "f", small_run / "checkpoints", layout=layout)


def test_files_whose_names_begin_with_a_dot_are_not_of_a_folder(plain, tmp_path):
    """As those that macOS leaves beside every file."""
    (plain / "._x.parquet").write_bytes(b"no Parquet")
    assert into(tmp_path / "out", plain)["d-1210"]["checkpoints"] == 24


def test_rows_of_other_lengths_are_analysed_apart(small_run, plain, tmp_path):
    random = np.random.default_rng(0)
    walk = np.cumsum(random.normal(size=(2, 5, 40)) * [[[5]] + [[0.3]] * 4] * 2, axis=1).reshape(10, 40)
    weights = pa.array([*walk[:4].tolist(), [1.0, 2.0], *walk[4:].tolist()])
    pq.write_table(pa.table({"weights": weights}), tmp_path / "short.parquet")
    summaries = into(tmp_path / "out", plain, tmp_path / "short.parquet")
    assert {part: summary["checkpoints"] for part, summary in summaries.items()} == {"d-2": 1, "d-40": 10, "d-1210": 24}
    short = table(tmp_path / "out", "d-40")
    assert short["row"].to_pylist() == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10]
    assert trajectories(short) == [{0, 1, 2, 3, 4}, {5, 6, 7, 8, 9}]
    assert table(tmp_path / "out", "d-2")["trajectory"].to_pylist() == [0]
    whole = json.loads((tmp_path / "out/analysis/default/summary.json").read_text())
    assert whole["inputs"] == [str(plain), str(tmp_path / "short.parquet")]
    assert whole["checkpoints"] == 35
    assert whole["parts"]["d-40"]["trajectories_found"] == 2
    pages = [*(tmp_path / "out/analysis/default").glob("*/report.html")]
    assert sorted(page.parent.name for page in pages) == ["d-1210", "d-2", "d-40"]


def test_rows_that_are_not_finite_are_reported_and_left_out(plain, tmp_path):
    rows = pq.read_table(plain / "x.parquet")["weights"].to_pylist()
    rows[4][17], rows[9][0] = float("nan"), float("-inf")
    pq.write_table(pa.table({"weights": [*rows, [float("nan")] * 3]}), plain / "x.parquet")
    summaries = into(tmp_path / "out", plain)
    assert summaries["d-1210"]["left_out"] == {"models": 0, "checkpoints": 2}
    assert summaries["d-3"]["left_out"] == {"models": 0, "checkpoints": 1}
    assert summaries["d-3"]["trajectories_found"] == 0
    found = table(tmp_path / "out", "d-1210")
    assert np.flatnonzero(found["trajectory"].to_numpy() < 0).tolist() == [4, 9]
    assert (
        "2 checkpoints with weights that are not finite numbers were left out"
        in (tmp_path / "out/analysis/default/d-1210/report.html").read_text()
    )
    pq.write_table(pa.table({"weights": [[float("nan")]] * 3}), plain / "x.parquet")
    with pytest.raises(StoreError, match="no checkpoint has only finite weights"):
        into(tmp_path / "none", plain)
    assert not (tmp_path / "none").exists()


def test_an_analysis_is_replaced_whole_and_only_on_request(plain, tmp_path):
    out = tmp_path / "out"
    pq.write_table(pa.table({"weights": [[1.0, 2.0]]}), tmp_path / "short.parquet")
    into(out, plain, tmp_path / "short.parquet")
    with pytest.raises(StoreError, match="already has an analysis default; use another --name, or --overwrite"):
        into(out, plain)
    into(out, plain, name="second")
    into(out, plain, overwrite=True)
    assert sorted(path.name for path in (out / "analysis/default").iterdir()) == ["d-1210", "summary.json"]
    assert table(out, "d-1210").equals(table(out, "d-1210", analysis="second"))
    with pytest.raises(StoreError, match="pages of its analyses are there already"):
        report(str(out))


def test_an_analysis_that_was_not_written_whole_counts_as_none_and_is_made_again(plain, tmp_path, monkeypatch):
    out, real = tmp_path / "out", Files.replace
    pq.write_table(pa.table({"weights": [[1.0, 2.0]]}), tmp_path / "short.parquet")

    def full(files, name, data):
        if "d-1210/report" in name:
            raise StoreError("No space left on device")
        real(files, name, data)

    monkeypatch.setattr(Files, "replace", full)
    with pytest.raises(StoreError, match="No space left"):
        into(out, plain, tmp_path / "short.parquet")
    assert not analysis_exists(Files(str(out)), "default")
    monkeypatch.undo()
    into(out, plain)
    assert sorted(path.name for path in (out / "analysis/default").iterdir()) == ["d-1210", "summary.json"]


def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_read(small_run, plain, tmp_path, monkeypatch):
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    with pytest.raises(StoreError, match=r"is read-only or no folder\); --out DIR puts the analysis elsewhere"):
        analyze(str(small_run), "another", executor="inline")
    with pytest.raises(StoreError, match="cannot be written to"):
        into(tmp_path / "out", plain)


def test_a_run_that_somebody_else_wrote_with_only_what_the_format_asks_for_is_analysed(tmp_path):
    run, random = tmp_path / "theirs", np.random.default_rng(1)
    (run / "checkpoints").mkdir(parents=True)
    paths = random.normal(size=(4, 1, 30)) + np.cumsum(random.normal(size=(4, 8, 30)) * 0.05, axis=1)
    paths[3, 5:] = np.inf
    layout = {"version": 1, "order": "C", "tensors": [{"name": "all", "shape": [30], "offset": 0}]}
    shards = []
    for group in (0, 1):
        footer = {"spec_hash": "theirs-1", "rows": 16, "diverged": [3] if group else []}
        ids = {
            "model_id": pa.array(np.repeat([2 * group, 2 * group + 1], 8), pa.int32()),
            "epoch": pa.array([*range(8)] * 2, pa.int32()),
            "step": pa.array([*range(8)] * 2, pa.int64()),
        }
        metrics = {
            f"{part}_{what}": pa.nulls(16, pa.float32()) for part in ("train", "test") for what in ("loss", "accuracy")
        }
        flat = pa.array(paths[2 * group : 2 * group + 2].ravel().astype(np.float32))
        weights = {"weights": pa.FixedSizeListArray.from_arrays(flat, 30)}
        made = pa.table({**weights, "note": ["more"] * 16, **metrics, **ids})  # any order, and more columns
        made = made.replace_schema_metadata({"zoo": json.dumps(footer), "zoo.layout": json.dumps(layout)})
        name = f"checkpoints/{'ab'[group]}.parquet"
        pq.write_table(made, run / name)
        shards.append({"shard": name, "rows": 16, "bytes": (run / name).stat().st_size, "sha256": "0" * 64})
    (run / "spec.json").write_text(json.dumps({"format_version": 1, "name": "theirs", "spec_hash": "theirs-1"}))
    manifest = {"format_version": 1, "spec_hash": "theirs-1", "checkpoints": 32, "shards": shards}
    (run / "manifest.json").write_text(json.dumps(manifest))

    summary = analyze(str(run), executor="inline")
    assert (summary["trajectories_found"], summary["ari"], summary["kendall_tau_min"]) == (3, 1.0, 1.0)
    assert summary["left_out"] == {"models": 1, "checkpoints": 8}
    assert (summary["name"], summary["run"], summary["complete"]) == ("theirs", "theirs-1", True)
    assert report(str(run)) == f"{run}/report.html"
    elsewhere = into(tmp_path / "out", run)["d-30"]
    assert {key: value for key, value in elsewhere.items() if key != "seconds"} == {
        key: value for key, value in summary.items() if key != "seconds"
    }


def test_a_run_named_twice_is_refused_and_so_is_a_file_by_two_names(small_run, plain, tmp_path):
    shutil.copytree(small_run, tmp_path / "copy")
    for inputs, message in [
        ((small_run, tmp_path / "copy"), r"copy: run [0-9a-f]{12} is named twice"),
        ((plain, plain / "x.parquet"), r"x\.parquet: x\.parquet is named twice"),
    ]:
        with pytest.raises(ZooError, match=message):
            into(tmp_path / "out", *inputs)
    assert not (tmp_path / "out").exists()
