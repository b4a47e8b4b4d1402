"""`zoo analyze` on the Parquet files that nobody expects: tiny, equal, odd and damaged ones, full disks."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import FixedSizeListArray

from zoo_pipeline.cli import main
from zoo_pipeline.models import Layout
from zoo_pipeline.store.analyses import TABLES

D = 40
NESTED = [[[1.0, 2.0]], [[3.0, 4.0]]]


def walks(models: int = 3, epochs: int = 5) -> np.ndarray:
    """Models that start far apart and take small steps, float32[models · epochs, D]."""
    random = np.random.default_rng(0)
    steps = np.cumsum(0.3 * random.normal(size=(models, epochs, D)), axis=1)
    return (5 * random.normal(size=(models, 1, D)) + steps).reshape(-1, D).astype(np.float32)


def fixed(weights: np.ndarray, number: pa.DataType) -> FixedSizeListArray:
    return FixedSizeListArray.from_arrays(pa.array(weights.astype(number.to_pandas_dtype()).ravel()), weights.shape[1])


@pytest.fixture(autouse=True)
def _inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def analyze(*arguments: str) -> int:
    return main(["analyze", *arguments, "--out", "out", "--executor", "inline"])


def analysed(table: pa.Table, part: str) -> tuple[dict, pa.Table]:
    """The summary and the assignments of the only part of a file."""
    pq.write_table(table, "x.parquet")
    assert analyze("x.parquet") == 0
    folder = Path("out/analysis/default")
    assert [path.name for path in folder.iterdir() if path.is_dir()] == [part]
    assert sorted(path.name for path in (folder / part).iterdir()) == sorted(
        [*(f"{name}.parquet" for name in TABLES), "summary.json", "report.html"]
    )
    summary = json.loads((folder / part / "summary.json").read_text(), parse_constant=pytest.fail)
    return summary, pq.read_table(folder / part / "assignments.parquet")


def test_one_checkpoint_is_a_trajectory():
    summary, rows = analysed(pa.table({"weights": [walks()[0]]}), "d-40")
    assert (summary["checkpoints"], summary["trajectories_found"]) == (1, 1)
    assert rows.select(["row", "trajectory", "position", "progress", "leaf"]).to_pylist() == [
        {"row": 0, "trajectory": 0, "position": 0, "progress": 0.0, "leaf": 0}
    ]


def test_two_checkpoints_that_nothing_tells_to_be_related_stay_single():
    summary, rows = analysed(pa.table({"weights": list(walks()[:2])}), "d-40")
    assert (summary["layout_known"], summary["trajectories_found"]) == (False, 2)
    assert rows["position"].to_pylist() == [0, 0]


def test_two_checkpoints_of_one_network_are_one_trajectory_where_the_layout_is_known():
    layout = Layout.of({"fc1.weight": (20, 30), "fc1.bias": (20,), "fc2.weight": (10, 20), "fc2.bias": (10,)})
    random = np.random.default_rng(0)
    start, other = random.normal(size=(2, layout.dimension))
    weights = [start, start + 0.1 * random.normal(size=layout.dimension)]
    for further, found in (([], [0, 0]), ([other], [0, 0, 1])):
        table = pa.table({"weights": [*weights, *further]}).replace_schema_metadata({"zoo.layout": layout.to_json()})
        pq.write_table(table, "x.parquet")
        assert analyze("x.parquet", "--overwrite") == 0
        rows = pq.read_table(f"out/analysis/default/d-{layout.dimension}/assignments.parquet")
        first = rows["trajectory"].to_pylist()
        assert [first.index(number) for number in first] == [found.index(number) for number in found]


@pytest.mark.parametrize("value", [0.0, 0.3, -3e38, 1e-44])
def test_equal_checkpoints_are_one_trajectory(value):
    summary, rows = analysed(pa.table({"weights": [[value] * 7] * 6}), "d-7")
    assert summary["trajectories_found"] == 1
    assert rows["trajectory"].to_pylist() == [0] * 6
    assert sorted(rows["position"].to_pylist()) == list(range(6))


def test_checkpoints_that_are_not_finite_are_left_out_and_told(capsys):
    weights = np.insert(walks(), [2, 9], [[np.nan], [np.inf]], axis=0)
    summary, rows = analysed(pa.table({"weights": list(weights)}), "d-40")
    assert summary["left_out"] == {"models": 0, "checkpoints": 2}
    assert np.flatnonzero(rows["trajectory"].to_numpy() == -1).tolist() == [2, 10]
    assert summary["trajectories_found"] == 3
    assert "2 checkpoints" in next(line for line in capsys.readouterr().out.splitlines() if "left out" in line)


@pytest.mark.parametrize("number", [pa.float16(), pa.float64()], ids=str)
def test_fixed_size_lists_of_other_floats_are_read(number):
    summary, rows = analysed(pa.table({"weights": fixed(walks(), number)}), "d-40")
    assert summary["trajectories_found"] == 3
    first = rows["trajectory"].to_numpy().reshape(3, 5)
    assert (first == first[:, :1]).all()


def test_few_rows_may_be_very_wide():
    wide = np.random.default_rng(0).normal(size=(3, 1_000_000)).astype(np.float32)
    summary, _ = analysed(pa.table({"weights": fixed(wide, pa.float32())}), "d-1000000")
    assert (summary["dimension"], summary["trajectories_found"]) == (1_000_000, 3)


def test_weights_near_the_largest_that_float32_holds_are_ordinary_weights():
    plain, _ = analysed(pa.table({"weights": list(walks())}), "d-40")
    pq.write_table(pa.table({"weights": list(walks() * np.float32(1e37))}), "x.parquet")
    assert analyze("x.parquet", "--overwrite") == 0
    huge = json.loads(Path("out/analysis/default/d-40/summary.json").read_text())
    assert huge["trajectories_found"] == plain["trajectories_found"] == 3
    assert huge["cut"]["height"] == pytest.approx(plain["cut"]["height"], rel=1e-5)


def test_rows_that_share_model_and_epoch_are_analysed_and_not_ordered_by_it():
    truth = {"model_id": np.repeat([0, 1, 2], 5), "epoch": [4] * 15}
    summary, rows = analysed(pa.table({"weights": list(walks()), **truth}), "d-40")
    assert (summary["ari"], summary["exact_trajectories"]) == (1.0, 1.0)
    assert summary["kendall_tau_mean"] is None
    assert rows["epoch"].to_pylist() == [4] * 15


def twice(name: str) -> pa.Table:
    columns = [fixed(walks(), pa.float32()), pa.array(range(15)), pa.array(range(15))]
    return pa.Table.from_arrays([*columns, columns[0]], names=["weights", "model_id", "epoch", name])


LAYOUT = '{"version": 1, "order": "C", "tensors": [{"name": "w", "shape": [-4, -10], "offset": 0}]}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pa.table({"weights": pa.array([], pa.list_(pa.float32()))}), "nothing to analyse: not one row"),
        (pa.table({}), "x.parquet: has no column weights (has none); rename the one"),
        (pa.table({"weights": [[np.nan, 1.0]] * 3}), "nothing to analyse: no checkpoint has only finite weights"),
        (pa.table({"weights": [[1.0, 2.0], None]}), "x.parquet: row 1 has no weights, but null; leave such rows out"),
        (pa.table({"weights": pa.nulls(3)}), "x.parquet: column weights: is null, expected a list"),
        (pa.table({"weights": [[1.0], []]}), "x.parquet: row 1 has no weights, but an empty list"),
        (pa.table({"weights": [[1, 2], [3, 4]]}), "x.parquet: column weights: is list<element: int64>, expected"),
        (pa.table({"weights": NESTED}), "x.parquet: column weights: is list<element: list<element: double>>, expected"),
        (twice("weights"), "x.parquet: has several columns weights; expected one, rename the others"),
        (twice("epoch"), "x.parquet: has several columns epoch; expected one, rename the others"),
        (
            pa.table({"weights": list(walks())}).replace_schema_metadata({"zoo.layout": LAYOUT}),
            "x.parquet: layout: tensor w: expected a shape of positive sizes, got [-4, -10]",
        ),
        (b"", "x.parquet: damaged or not Parquet (Parquet file size is 0 bytes); write it again, or leave it out"),
        (b"model,weights\n" * 9, "x.parquet: damaged or not Parquet"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_cannot_be_analysed_gets_one_line_and_nothing_is_written(content, message, capsys):
    if isinstance(content, bytes):
        Path("x.parquet").write_bytes(content)
    else:
        pq.write_table(content, "x.parquet")
    told = refused(capsys, "x.parquet")
    assert message in told


def refused(capsys, *arguments: str) -> str:
    """The one line that a refusal is told by."""
    assert analyze(*arguments) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.strip().splitlines()
    assert captured.out == ""
    assert not Path("out").exists()
    return line


def test_folders_that_look_like_files_and_those_that_hold_none_are_told(capsys):
    Path("spark/y.parquet").mkdir(parents=True)
    assert "spark/y.parquet: is a folder, expected a Parquet file" in refused(capsys, "spark")
    assert "spark/y.parquet: has no spec.json and no *.parquet" in refused(capsys, "spark/y.parquet")
    assert "zoo: spark/z.parquet: there is nothing; expected a run" in refused(capsys, "spark/z.parquet")


@pytest.mark.parametrize("nth", range(14))
def test_a_disk_that_fills_up_at_any_file_leaves_nothing_half_written(nth, capsys, monkeypatch):
    weights = [*walks().tolist(), [1.0, 2.0]]  # two parts
    pq.write_table(pa.table({"weights": weights}), "x.parquet")
    real, synced = os.fsync, []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == nth + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        code = analyze("x.parquet")
    files = [path for path in Path("out").rglob("*") if path.is_file()]
    if nth == 13:  # two parts of four tables, a summary and a page, and the summary of all
        assert (code, len(synced), len(files)) == (0, 13, 13)
        return
    assert (code, files) == (2, [])
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("zoo: ")
    assert line.endswith("cannot be written: No space left on device")
    assert "out/analysis/default/" in line


def test_lists_of_no_weights_are_refused_as_such(capsys):
    pq.write_table(pa.table({"weights": pa.array([[], []], pa.list_(pa.float32(), 0))}), "x.parquet")
    assert main(["analyze", "x.parquet", "--out", "out", "--executor", "inline"]) == 2
    assert "column weights: is fixed_size_list<element: float>[0], lists without a weight" in capsys.readouterr().err
    assert not Path("out").exists()
