import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.config import Resources
from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.runtime import analysis as runtime_analysis
from zoo_pipeline.runtime.analysis import analyze_run, analyze_zoo
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.store.analyses import read_analysis, write_analysis
from zoo_pipeline.store.schema import encode_checkpoints
from zoo_pipeline.workflow import analyze, report
from zoo_pipeline.zoo import Zoo

SCORES = (
    "ari",
    "ami",
    "exact_trajectories",
    "kendall_tau_mean",
    "kendall_tau_min",
    "order_exact",
    "direction_accuracy",
)


@pytest.fixture(scope="module")
def analysis(small_run):
    zoo = Zoo(str(small_run))
    return read_analysis(zoo.files, "default")


def test_a_small_zoo_is_recovered_exactly(analysis):
    summary = analysis.summary
    assert {name: summary[name] for name in SCORES} == dict.fromkeys(SCORES, 1.0)
    assert summary["trajectories_found"] == summary["trajectories_true"] == 6
    assert summary["direction_undecided"] == 0.0
    assert summary["margin"] > 1
    assert summary["left_out"] == {"models": 0, "checkpoints": 0}
    assert set(summary["seconds"]) == {"reading", "separation", "ordering", "geometry", "scoring"}


@pytest.mark.parametrize("once", [True, False])
def test_an_analysis_that_another_driver_wrote_meanwhile_stays_where_asked(once, small_run, tmp_path, monkeypatch):
    """As of two drivers that end together in an object store, where nobody can be waited for."""
    root = shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("analysis"))
    theirs = read_analysis(Zoo(str(small_run)).files, "default")

    def slowly(zoo, *arguments):
        write_analysis(zoo.files, "default", replace(theirs, summary={**theirs.summary, "name": "theirs"}))
        return analyze_zoo(zoo, *arguments)

    monkeypatch.setattr(runtime_analysis, "analyze_zoo", slowly)
    summary = analyze_run(InlineExecutor(Resources()), str(root), "default", once=once)
    assert summary["name"] == ("theirs" if once else "digits-demo")
    assert read_analysis(Zoo(str(root)).files, "default").summary == summary


def test_the_tables_have_the_documented_columns_and_rows(analysis, small_run):
    assert analysis.assignments.column_names == [
        "run", "model_id", "epoch", "family", "trajectory", "position", "progress", "confidence", "leaf",
    ]  # fmt: skip
    assert len(analysis.assignments) == len(analysis.geometry) == 24
    assert len(analysis.trajectories) == 6
    assert len(analysis.linkage) == 23
    assert set(analysis.assignments["run"].to_pylist()) == {Zoo(str(small_run)).key}
    assert analysis.assignments["position"].to_pylist() == analysis.assignments["epoch"].to_pylist()
    assert sorted(analysis.trajectories["model_id"].to_pylist()) == list(range(6))
    assert analysis.trajectories["direction"].to_pylist() == ["forward"] * 6


def test_the_geometry_is_that_of_the_weights(analysis, small_run):
    weights = Zoo(str(small_run)).weights().astype(np.float64).reshape(6, 4, -1)
    steps = np.linalg.norm(np.diff(weights, axis=1), axis=2)
    found = analysis.geometry["step_length"].to_numpy().reshape(6, 4)
    assert np.isnan(found[:, 0]).all()
    assert np.allclose(found[:, 1:], steps, rtol=1e-12)
    assert np.allclose(analysis.geometry["arc_length"].to_numpy().reshape(6, 4)[:, -1], steps.sum(axis=1))
    assert analysis.geometry["turning_angle"].null_count == 12


def rewritten(source, target, change):
    """A copy of a run with one shard, its rows changed; epochs and models are no longer in order."""
    shutil.copytree(source, target)
    shutil.rmtree(target / "analysis")
    (target / "manifest.json").unlink()
    shards = sorted((target / "checkpoints").iterdir())
    table = pa.concat_tables([pq.read_table(shard) for shard in shards]).combine_chunks()
    schema = pq.read_schema(shards[0])
    for shard in shards:
        shard.unlink()
    (target / "checkpoints" / "group-00000.parquet").write_bytes(
        encode_checkpoints(change(table).cast(schema).replace_schema_metadata(schema.metadata))
    )
    return Zoo(str(target))


def test_shuffled_and_relabelled_rows_give_the_same_analysis(analysis, small_run, tmp_path):
    order = np.random.default_rng(1).permutation(24)
    relabel = np.random.default_rng(2).permutation(6)

    def change(table):
        hidden = table.set_column(0, "model_id", pa.array(relabel[table["model_id"].to_numpy()].astype(np.int32)))
        hidden = hidden.set_column(1, "epoch", pa.array(99 - hidden["epoch"].to_numpy()))
        return hidden.take(pa.array(order))

    shuffled = analyze_zoo(rewritten(small_run, tmp_path / "shuffled", change))
    for column in ("trajectory", "position", "confidence", "leaf"):
        expected = analysis.assignments[column].to_numpy()[order]
        assert np.array_equal(shuffled.assignments[column].to_numpy(), expected), column
    assert shuffled.linkage.equals(analysis.linkage)
    for column in ("step_length", "turning_angle", "curvature"):
        expected = analysis.geometry[column].to_numpy()[order]
        assert np.array_equal(shuffled.geometry[column].to_numpy(), expected, equal_nan=True), column
    assert shuffled.summary["direction_accuracy"] == 0.0  # the labels now run backwards, and only they


def test_a_diverged_model_is_left_out_and_counted(small_run, tmp_path):
    def change(table):
        weights = np.stack(table["weights"].to_numpy(zero_copy_only=False))
        weights[table["model_id"].to_numpy() == 2] = np.nan
        values = pa.FixedSizeListArray.from_arrays(pa.array(weights.ravel()), type=table.schema.field("weights").type)
        return table.set_column(7, table.schema.field("weights"), values)

    found = analyze_zoo(rewritten(small_run, tmp_path / "nan", change))
    assert found.summary["left_out"] == {"models": 1, "checkpoints": 4}
    assert found.summary["trajectories_found"] == found.summary["trajectories_true"] == 5
    assert found.summary["ari"] == found.summary["kendall_tau_min"] == 1.0
    out = found.assignments["model_id"].to_numpy() == 2
    assert np.array_equal(found.assignments["trajectory"].to_numpy() == -1, out)
    assert found.assignments["confidence"].null_count == 4


def test_an_analysis_is_replaced_only_on_request(small_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    before = (copy / "analysis/default/assignments.parquet").read_bytes()
    with pytest.raises(StoreError, match="already has an analysis default; use another --name, or --overwrite"):
        analyze(str(copy), executor="inline")
    analyze(str(copy), "second", executor="inline")
    analyze(str(copy), overwrite=True, executor="inline")
    assert (copy / "analysis/default/assignments.parquet").read_bytes() == before
    assert (copy / "analysis/second/assignments.parquet").read_bytes() == before
    assert json.loads((copy / "analysis/second/summary.json").read_text())["ari"] == 1.0
    with pytest.raises(ConfigError, match=r"--name \.\./x: expected letters"):
        analyze(str(copy), "../x", executor="inline")


def test_a_report_of_an_analysis_from_before_the_end_is_refused(small_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    shutil.rmtree(copy / "analysis")
    (copy / "manifest.json").unlink()
    (copy / "checkpoints/group-00001.parquet").unlink()
    summary = analyze(str(copy), executor="inline")
    assert (summary["complete"], summary["checkpoints"]) == (False, 16)
    shutil.copy(small_run / "checkpoints/group-00001.parquet", copy / "checkpoints")
    with pytest.raises(StoreError, match="is of 16 checkpoints, the run has 24 by now; run zoo analyze again"):
        report(str(copy))
