"""Analyses of more checkpoints than are compared each with each: here, of more than ten."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.errors import ConfigError, StoreError, ZooError
from zoo_pipeline.models import Layout
from zoo_pipeline.runtime import analysis, reporting
from zoo_pipeline.store import shares
from zoo_pipeline.store.analyses import TABLES
from zoo_pipeline.trajectories import modes
from zoo_pipeline.workflow import analyze, analyze_into
from zoo_pipeline.zoo import Zoo


@pytest.fixture
def few(monkeypatch):
    """The exact mode ends at ten checkpoints."""
    for module in (modes, analysis, reporting):
        monkeypatch.setattr(module, "EXACT_UP_TO", 10)


@pytest.fixture
def bag(small_run, tmp_path):
    """A folder with the checkpoints of `small_run` in two files, in small row groups, shuffled, with their truth."""
    folder = tmp_path / "bag"
    folder.mkdir()
    zoo = Zoo(str(small_run))
    order = np.random.default_rng(3).permutation(24)
    weights, checkpoints = zoo.weights()[order], zoo.checkpoints().take(pa.array(order))
    column = pa.FixedSizeListArray.from_arrays(pa.array(weights.ravel()), weights.shape[1])
    table = pa.table({"weights": column, **{name: checkpoints[name] for name in ("model_id", "epoch")}})
    table = table.replace_schema_metadata({"zoo.layout": zoo.layout.to_json()})
    pq.write_table(table.slice(0, 17), folder / "a.parquet", row_group_size=5)
    pq.write_table(table.slice(17), folder / "b.parquet", row_group_size=5)
    return folder


def tables(place):
    return {name: pq.read_table(place / f"{name}.parquet") for name in TABLES}


def analyzed(bag, out, **options):
    options = {"executor": "inline", **options}
    (summary,) = analyze_into(str(out), [str(bag)], **options).values()
    return summary, tables(out / "analysis/default/d-1210")


def test_a_streamed_bag_has_the_tables_of_one_that_is_compared_whole(bag, tmp_path, few, monkeypatch):
    summary, found = analyzed(bag, tmp_path / "streamed")
    for module in (modes, analysis, reporting):
        monkeypatch.setattr(module, "EXACT_UP_TO", 24)
    exact, expected = analyzed(bag, tmp_path / "exact")
    assert (summary["mode"], exact["mode"]) == ("approximate", "exact")
    assert list(summary["seconds"]) == ["reading", "sketching", "candidates", "trajectories", "scoring"]
    for name in TABLES:
        assert found[name].equals(expected[name]), name  # all rows fit into one bucket
    assert summary["margin"] is None
    same = {"seconds", "mode", "margin"}
    assert {key: value for key, value in summary.items() if key not in same} == {
        key: value for key, value in exact.items() if key not in same
    }


@pytest.mark.parametrize("share_bytes", [1, 10_000, 1 << 30])
def test_the_size_of_shares_changes_nothing(share_bytes, bag, tmp_path, few, monkeypatch):
    _, expected = analyzed(bag, tmp_path / "one")
    monkeypatch.setattr(shares, "SHARE_BYTES", share_bytes)
    _, found = analyzed(bag, tmp_path / "other")
    for name in TABLES:
        assert found[name].equals(expected[name]), name


def test_waves_of_a_few_rows_find_the_same_trajectories(bag, tmp_path, few):
    _, expected = analyzed(bag, tmp_path / "one")
    row_bytes = 2 * 4 * 1_210
    summary, found = analyzed(bag, tmp_path / "waves", memory=f"{6 * row_bytes}B")
    assert summary["exact_trajectories"] == 1.0
    for name in ("trajectory", "position"):
        assert sorted(found["assignments"][name].to_pylist()) == sorted(expected["assignments"][name].to_pylist())
    for name in ("step_length", "turning_angle", "arc_length"):
        assert found["geometry"][name].equals(expected["geometry"][name])


@pytest.fixture
def large_bag(tmp_path):
    """A folder with 404 walks of 25 steps, in two files: more than is compared each with each, in any process."""
    layout = Layout.of({"fc1.weight": (8, 6), "fc1.bias": (8,), "fc2.weight": (4, 8), "fc2.bias": (4,)})
    rng = np.random.default_rng(5)
    steps = 0.02 * rng.standard_normal((404, 25, layout.dimension))
    steps[:, 0] = rng.standard_normal((404, layout.dimension))
    order = rng.permutation(404 * 25)
    rows = np.cumsum(steps, axis=1).reshape(len(order), -1).astype(np.float32)[order]
    column = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), layout.dimension)
    table = pa.table({"weights": column, "model_id": order // 25, "epoch": order % 25})
    table = table.replace_schema_metadata({"zoo.layout": layout.to_json()})
    folder = tmp_path / "large"
    folder.mkdir()
    for name, rows in (("a", table.slice(0, 5_000)), ("b", table.slice(5_000))):
        pq.write_table(rows, folder / f"{name}.parquet", row_group_size=1_000)
    return folder


def test_ray_finds_what_this_process_finds(large_bag, tmp_path, capsys):
    summaries, found = {}, {}
    for executor in ("inline", "ray"):
        options = {"executor": executor, "address": "local"}
        (summaries[executor],) = analyze_into(str(tmp_path / executor), [str(large_bag)], **options).values()
        found[executor] = tables(tmp_path / executor / "analysis/default" / f"d-{8 * 6 + 8 + 4 * 8 + 4}")
        assert "10,100 sketched, 10,100 compared of 10,100 checkpoints" in capsys.readouterr().err
    assert summaries["ray"]["mode"] == summaries["inline"]["mode"] == "approximate"
    assert summaries["ray"]["exact_trajectories"] > 0.9
    for name in TABLES:
        assert found["ray"][name].equals(found["inline"][name]), name
    damaged = (large_bag / "b.parquet").read_bytes()
    start = damaged.index(b"PAR1") + 4
    (large_bag / "b.parquet").write_bytes(damaged[:start] + bytes(2000) + damaged[start + 2000 :])
    with pytest.raises(StoreError, match=r"b\.parquet: damaged or not Parquet"):
        analyze_into(str(tmp_path / "not"), [str(large_bag)], executor="ray", address="local")
    assert not (tmp_path / "not").exists()


def test_a_run_is_streamed_too_and_reported(small_run, tmp_path, few):
    copy = tmp_path / "run"
    shutil.copytree(small_run, copy)
    expected = tables(copy / "analysis/default")
    summary = analyze(str(copy), overwrite=True, executor="inline")
    assert summary["mode"] == "approximate"
    for name, found in tables(copy / "analysis/default").items():
        assert found.equals(expected[name]), name
    page = reporting.report_data(Zoo(str(copy)), "default")
    assert np.isfinite(page.embedding).all()  # six trajectories are all drawn


def test_too_little_memory_and_what_is_no_memory_are_refused(bag, tmp_path, few):
    with pytest.raises(
        ZooError, match=r"^analysis: 4 checkpoints compared at once take .* KiB, but there are 7.3 KiB for them"
    ):
        analyzed(bag, tmp_path / "out", memory="15kB")
    with pytest.raises(ConfigError, match=r"^--memory: got 'much', expected a number of bytes such as 4GiB"):
        analyzed(bag, tmp_path / "out", memory="much")
    assert not (tmp_path / "out").exists()


def test_many_rows_without_a_layout_are_refused_with_the_remedy(small_run, bag, tmp_path, few, monkeypatch):
    for file in bag.iterdir():
        table = pq.read_table(file).replace_schema_metadata(None)
        pq.write_table(table, file)
    monkeypatch.setattr(modes, "MOST_CHECKPOINTS", 20)
    with pytest.raises(ZooError, match=r"^analysis: 24 checkpoints of unknown layout .* by --layout FILE\.json"):
        analyzed(bag, tmp_path / "out")
    layout = tmp_path / "layout.json"
    layout.write_text(Zoo(str(small_run)).layout.to_json())
    summary, _ = analyzed(bag, tmp_path / "out", layout=layout)
    assert (summary["mode"], summary["exact_trajectories"]) == ("approximate", 1.0)
