"""A shard as others read it: the published file is an ordinary Parquet file."""

import json

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.zoo import Zoo


@pytest.fixture(scope="module")
def folder(small_run) -> str:
    return str(small_run / "checkpoints")


@pytest.fixture(scope="module")
def expected(small_run) -> np.ndarray:
    return Zoo(str(small_run)).weights()


def test_pyarrow(folder, expected):
    table = pyarrow.dataset.dataset(folder).to_table()
    values = table["weights"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    assert np.array_equal(values, expected)


def test_pandas(folder, expected):
    frame = pd.read_parquet(folder)
    assert np.array_equal(np.stack(frame["weights"]), expected)
    assert frame["model_id"].tolist() == [model for model in range(6) for _ in range(4)]


def test_polars(folder, expected):
    frame = pl.read_parquet(f"{folder}/*.parquet")
    assert frame.schema["weights"] == pl.Array(pl.Float32, 1_210)
    assert np.array_equal(frame["weights"].to_numpy(), expected)


def test_duckdb(folder, expected):
    query = f"""select model_id, epoch, weights::FLOAT[1210] w,
        array_distance(w, lag(w) over (partition by model_id order by epoch)) step_length
        from '{folder}/*.parquet' order by model_id, epoch"""
    rows = duckdb.sql(query).fetchnumpy()
    assert np.array_equal(np.stack(rows["w"]), expected)
    steps = np.linalg.norm(np.diff(expected.reshape(6, 4, -1), axis=1), axis=2)
    assert np.allclose(np.ma.getdata(rows["step_length"]).reshape(6, 4)[:, 1:], steps, rtol=1e-5)


def test_hugging_face_datasets(folder, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    loaded = datasets.load_dataset("parquet", data_files=f"{folder}/*.parquet", split="train", cache_dir=str(tmp_path))
    values = loaded.with_format("numpy")["weights"][:]
    assert np.array_equal(np.asarray(values), expected)


def test_the_layout_is_in_the_footer_for_anyone(folder):
    path = f"{folder}/group-00000.parquet"
    layout = json.loads(pq.read_schema(path).metadata[b"zoo.layout"])
    assert [tensor["name"] for tensor in layout["tensors"]] == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert json.loads(pl.read_parquet_metadata(path)["zoo.layout"]) == layout
    found = duckdb.sql(f"select value from parquet_kv_metadata('{path}') where key = 'zoo.layout'").fetchall()
    assert json.loads(found[0][0]) == layout
