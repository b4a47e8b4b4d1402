"""Parquet files that others wrote, as bags: every kind of list, number and truth, and one line for each mistake."""

import errno
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.errors import StoreError
from zoo_pipeline.models import Layout
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.plain import plain_rows, read_plain

WEIGHTS = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float16).astype(np.float32)
LAYOUT = Layout.of({"w": (2, 2), "b": (2,)})


def read(tmp_path, table, layout=None, **options):
    pq.write_table(table, tmp_path / "x.parquet", **options)
    return read_plain(Files(str(tmp_path)), "x.parquet", "mine/x.parquet", layout)


def lists(kind, number, weights=WEIGHTS):
    make = {"list": pa.list_, "large_list": pa.large_list, "fixed": lambda t: pa.list_(t, weights.shape[1])}[kind]
    flat = pa.array(weights.astype(number.to_pandas_dtype()).ravel())
    if kind == "fixed":
        return pa.FixedSizeListArray.from_arrays(flat, type=make(number))
    offsets = np.arange(len(weights) + 1) * weights.shape[1]
    cls = pa.ListArray if kind == "list" else pa.LargeListArray
    return cls.from_arrays(pa.array(offsets, pa.int32() if kind == "list" else pa.int64()), flat)


@pytest.mark.parametrize("number", [pa.float16(), pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("kind", ["list", "large_list", "fixed"])
def test_every_kind_of_list_and_number_gives_the_same_weights(kind, number, tmp_path):
    (bag,) = read(tmp_path, pa.table({"weights": lists(kind, number)}), row_group_size=3)
    assert bag.weights.dtype == np.float32
    assert np.array_equal(bag.weights, WEIGHTS)
    assert bag.layout is None
    assert bag.keys["row"].to_pylist() == list(range(10))
    assert set(bag.keys["file"].to_pylist()) == {"mine/x.parquet"}
    assert set(bag.keys["run"].to_pylist()) == {"mine"}
    assert bag.model.tolist() == bag.time.tolist() == [-1] * 10


@pytest.mark.parametrize("row_group_size", [2, 100])
def test_rows_of_different_length_come_apart_under_their_own_numbers(row_group_size, tmp_path):
    table = pa.table({"weights": [[1.0, 2], [3.0], [4.0, 5], [6.0], [7.0, 8]], "model_id": [0, 1, 0, 1, 2]})
    short, long = read(tmp_path, table, row_group_size=row_group_size)
    assert long.weights.tolist() == [[1, 2], [4, 5], [7, 8]]
    assert long.keys["row"].to_pylist() == [0, 2, 4]
    assert long.keys["model_id"].to_pylist() == [0, 0, 2]
    assert short.weights.tolist() == [[3], [6]]
    assert short.keys["row"].to_pylist() == [1, 3]


def test_slices_of_lists_start_where_they_should(tmp_path):
    table = pa.table({"weights": lists("list", pa.float32())}).slice(4, 3)
    (bag,) = read(tmp_path, table)
    assert np.array_equal(bag.weights, WEIGHTS[4:7])


@pytest.mark.parametrize(
    "epochs",
    [
        pa.array([0, 1, None, 3], pa.int8()),
        pa.array([0, 1, None, 3], pa.uint64()),
        pa.array([0.0, 1.0, float("nan"), 3.0], pa.float64()),
        pa.array([0.0, 1.0, None, 3.0], pa.float16()),
        pa.array([0, 1, -7, 3], pa.int64()),
    ],
    ids=["int8", "uint64", "NaN", "float16", "negative"],
)
def test_what_is_known_of_the_truth_is_read_from_any_whole_numbers(epochs, tmp_path):
    (bag,) = read(tmp_path, pa.table({"weights": lists("list", pa.float32(), WEIGHTS[:4]), "epoch": epochs}))
    assert bag.keys["epoch"].to_pylist() == [0, 1, None, 3]
    assert bag.keys["model_id"].null_count == 4
    assert bag.time.tolist() == [0, 1, -1, 3]


def test_steps_order_a_model_where_they_are_known_for_more_rows(tmp_path):
    table = pa.table(
        {
            "weights": lists("list", pa.float32(), WEIGHTS[:8]),
            "model_id": [7, 7, 7, 5, 5, 5, None, None],
            "epoch": pa.array([0, None, 2, 0, 1, 2, 4, None]),
            "step": pa.array([0, 10, 20, 9, 8, None, None, None]),
        }
    )
    (bag,) = read(tmp_path, table)
    assert bag.model.tolist() == [1, 1, 1, 0, 0, 0, -1, -1]
    assert bag.time.tolist() == [0, 10, 20, 0, 1, 2, 4, -1]


def test_the_layout_comes_from_the_metadata_or_else_from_the_caller(tmp_path):
    table = pa.table({"weights": lists("list", pa.float32())})
    own = table.replace_schema_metadata({"zoo.layout": LAYOUT.to_json()})
    assert read(tmp_path, own)[0].layout == LAYOUT
    other = Layout.of({"all": (6,)})
    assert read(tmp_path, own, other)[0].layout == LAYOUT
    assert read(tmp_path, table, other)[0].layout == other
    assert read(tmp_path, table, Layout.of({"all": (7,)}))[0].layout is None


def test_numbers_that_float32_cannot_hold_become_infinite(tmp_path):
    (bag,) = read(tmp_path, pa.table({"weights": [[1e300, 1.0], [1.0, 2.0], [float("nan"), 0.0]]}))
    assert np.isfinite(bag.weights).all(axis=1).tolist() == [False, True, False]


def test_a_file_without_rows_is_no_bag(tmp_path):
    assert read(tmp_path, pa.table({"weights": pa.array([], pa.list_(pa.float32()))})) == []


NARROW = {"zoo.layout": Layout.of({"all": (5,)}).to_json()}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"w": [[1.0]], "id": [1]}), r"has no column weights \(has w, id\); rename the one"),
        (pa.table({"weights": [1.0]}), r"column weights: is double, expected a list of float16, float32 or float64"),
        (pa.table({"weights": [[1]]}), r"column weights: is list<.*int64>, expected a list"),
        (pa.table({"weights": [[[1.0]]]}), r"column weights: is list<.*list<.*double>>, expected a list"),
        (pa.table({"weights": [[1.0], None]}), r"row 1 has no weights, but null"),
        (pa.table({"weights": [[1.0], [2.0], []]}), r"row 2 has no weights, but an empty list"),
        (pa.table({"weights": [[1.0, None]]}), r"holds nulls among the numbers; write NaN"),
        (pa.table({"weights": [[1.0]], "epoch": ["last"]}), r"column epoch: is string, expected whole numbers"),
        (pa.table({"weights": [[1.0]], "model_id": [True]}), r"column model_id: is bool, expected whole numbers"),
        (pa.table({"weights": [[1.0]], "step": [1.5]}), r"column step: holds 1\.5, expected whole numbers"),
        (pa.table({"weights": [[1.0]], "step": pa.array([2**63], pa.uint64())}), r"column step: .*not in range"),
        (pa.table({"weights": [[1.0] * 5, [1.0]]}).replace_schema_metadata(NARROW), r"row 1 has 1 weight, the layout"),
        (
            pa.table({"weights": [[1.0]]}).replace_schema_metadata({"zoo.layout": json.dumps({"version": 9})}),
            r"layout: has no 'order'; expected the JSON of docs/format.md",
        ),
    ],
    ids=lambda value: "" if isinstance(value, pa.Table) else value[:30],
)
def test_a_mistake_in_a_file_is_told_with_its_name(table, message, tmp_path):
    with pytest.raises(StoreError, match=rf"^mine/x\.parquet: .*{message}") as raised:
        read(tmp_path, table)
    assert len(str(raised.value).splitlines()) == 1


def spoiled(tmp_path, how):
    """A path to something that is not an ordinary Parquet file."""
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"weights": lists("fixed", pa.float32())}), path)
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "other":
        path.write_bytes(b"model,weights\n" * 9)
    elif how == "folder":
        path.unlink()
        path.mkdir()
    return Files(str(tmp_path)), "x.parquet", "mine/x.parquet"


@pytest.mark.parametrize("read_some", [read_plain, lambda files, name, shown: plain_rows(files, name)])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "missing; write it again, or leave it out"),
        ("truncated", r"damaged or not Parquet \(.+\); write it again, or leave it out"),
        ("other", r"damaged or not Parquet \(.+\); write it again, or leave it out"),
        ("folder", "is a folder, expected a Parquet file; name that folder itself for the files in it"),
    ],
)
def test_what_is_no_parquet_file_is_told_with_what_to_do_about_it(how, message, read_some, tmp_path):
    with pytest.raises(StoreError, match=rf"x\.parquet: {message}"):
        read_some(*spoiled(tmp_path, how))


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied"),
            r"cannot be read \(Permission denied\); see to it that it",
        ),
        (OSError(errno.EIO, "Input/output error"), r"cannot be read \(Input/output error\); see to it that it"),
        (pa.ArrowNotImplementedError("codec lzo"), r"cannot be read \(codec lzo\); write it again as ordinary Parquet"),
        (OSError("could not verify page integrity"), r"damaged or not Parquet \(could not verify.*\); write it again"),
    ],
    ids=["permission", "disk", "codec", "checksum"],
)
def test_what_fails_while_a_sound_file_is_opened_gets_the_remedy_that_fits(raised, message, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise raised

    place = spoiled(tmp_path, "not at all")
    monkeypatch.setattr(pq, "ParquetFile", fail)
    with pytest.raises(StoreError, match=rf"x\.parquet: {message}"):
        read_plain(*place)
