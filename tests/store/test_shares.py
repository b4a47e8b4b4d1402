import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store import shares
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.plain import read_plain

WEIGHTS = np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)


def fixed(weights):
    return pa.FixedSizeListArray.from_arrays(pa.array(weights.ravel()), weights.shape[1])


def streamed(tmp_path, table, **options):
    pq.write_table(table, tmp_path / "x.parquet", **options)
    return read_plain(Files(str(tmp_path)), "x.parquet", "mine/x.parquet", held=False)


@pytest.mark.parametrize("share_bytes", [1, 100, 1 << 20])
@pytest.mark.parametrize("batch_bytes", [1, 50, 1 << 20])
def test_a_file_is_read_in_shares_of_whole_row_groups_in_their_order(share_bytes, batch_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr(shares, "SHARE_BYTES", share_bytes)
    monkeypatch.setattr(shares, "_BATCH_BYTES", batch_bytes)
    table = pa.table({"weights": fixed(WEIGHTS), "epoch": range(10)})
    (bag,) = streamed(tmp_path, table, row_group_size=3)
    assert [share.groups for share in bag.shares] == {
        1: [(0,), (1,), (2,), (3,)],
        100: [(0, 1), (2, 3)],  # a group of three rows has 72 bytes
        1 << 20: [(0, 1, 2, 3)],
    }[share_bytes]
    again = pickle.loads(pickle.dumps(bag.shares))
    assert np.array_equal(np.concatenate([rows for share in again for rows in share.read()]), WEIGHTS)
    assert np.array_equal(bag.weights, WEIGHTS)
    assert bag.keys["epoch"].to_pylist() == bag.keys["row"].to_pylist() == list(range(10))


def test_rows_of_different_length_are_streamed_apart(tmp_path):
    table = pa.table({"weights": [[1.0, 2], [3.0], [4.0, 5], [6.0], [7.0, 8]], "model_id": [0, 1, 0, 1, 2]})
    short, long = streamed(tmp_path, table, row_group_size=2)
    assert long.weights.tolist() == [[1, 2], [4, 5], [7, 8]]
    assert long.keys["row"].to_pylist() == [0, 2, 4]
    assert short.weights.tolist() == [[3], [6]]
    assert short.keys["model_id"].to_pylist() == [1, 1]


def test_a_mistake_in_a_file_is_told_with_its_name_when_it_is_read(tmp_path):
    values = pa.array([1.0, None, 2.0, 3.0], pa.float32())
    (bag,) = streamed(tmp_path, pa.table({"weights": pa.FixedSizeListArray.from_arrays(values, 2)}))
    with pytest.raises(StoreError, match=r"^mine/x\.parquet: column weights: holds nulls among the numbers"):
        _ = bag.weights


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "missing; write it again, or leave it out"),
        (lambda path: path.write_bytes(b"PAR1"), r"damaged or not Parquet \(.*\); write it again, or leave it out"),
    ],
    ids=["missing", "damaged"],
)
def test_a_plain_file_that_is_spoiled_before_it_is_read_is_not_to_be_trained_again(spoil, message, tmp_path):
    (bag,) = streamed(tmp_path, pa.table({"weights": fixed(WEIGHTS)}))
    spoil(tmp_path / "x.parquet")
    with pytest.raises(StoreError, match=rf"/x\.parquet: {message}$"):
        _ = bag.weights
