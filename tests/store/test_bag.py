import numpy as np
import pyarrow as pa
import pytest

from zoo_pipeline.errors import StoreError
from zoo_pipeline.models import Layout
from zoo_pipeline.store.bag import KEYS, MOST_PARTS, Bag, gather, named
from zoo_pipeline.store.plain import METRICS
from zoo_pipeline.store.shares import HeldShare


def bag(rows, dimension, run="a", layout=None, key=None, **keys):
    """A bag of `rows` equal networks whose weights are all their number of rows."""
    columns = {"run": named(run, rows), "model_id": pa.array(range(rows)), "epoch": pa.nulls(rows, pa.int64()), **keys}
    metrics = pa.table([pa.nulls(rows, field.type) for field in METRICS], schema=METRICS)
    weights = np.full((rows, dimension), rows, np.float32)
    return Bag(
        (HeldShare(weights),), dimension, layout, pa.table(columns), np.full(rows, -1), metrics, f"zoo {run}", key
    )


def test_rows_of_one_length_and_layout_are_put_together_in_their_order():
    one, two = bag(2, 5, "a", key="a"), bag(3, 5, "b", file=named("b/x.parquet", 3), row=pa.array([4, 5, 6]))
    parts = gather([one, bag(1, 4), two])
    assert list(parts) == ["d-4", "d-5"]
    both = parts["d-5"]
    assert both.weights[:, 0].tolist() == [2, 2, 3, 3, 3]
    assert both.keys.schema == KEYS
    assert both.keys.to_pylist()[1:3] == [
        {"run": "a", "model_id": 1, "epoch": None, "file": None, "row": None},
        {"run": "b", "model_id": 0, "epoch": None, "file": "b/x.parquet", "row": 4},
    ]
    assert both.model.tolist() == [0, 1, 2, 3, 4]  # model 0 of a is not model 0 of b
    assert (both.name, both.run) == ("d-5", None)


def test_equal_lengths_of_other_layouts_stay_apart():
    layouts = [None, Layout.of({"w": (5,)}), Layout.of({"w": (4,), "b": (1,)})]
    parts = gather([bag(1 + number, 5, layout=layout) for number, layout in enumerate(layouts)] + [bag(9, 5)])
    assert len(parts) == 3
    assert len(parts["d-5-unknown"].weights) == 10
    assert {part.layout for part in parts.values()} == set(layouts)


def test_a_part_of_one_run_alone_keeps_its_name():
    part = gather([bag(2, 5, "a", key="a"), bag(0, 5, "b", key="b")])["d-5"]
    assert (part.name, part.run) == ("zoo a", "a")


def test_nothing_and_too_much_are_refused():
    with pytest.raises(StoreError, match="nothing to analyse: not one row"):
        gather([bag(0, 5)])
    with pytest.raises(StoreError, match="rows of 65 lengths or layouts"):
        gather([bag(1, 1 + number) for number in range(MOST_PARTS + 1)])


def test_models_of_equal_number_are_told_apart_by_their_run_and_the_unknown_stay_unknown():
    joined = gather([bag(2, 3, "b", model_id=pa.array([1, None])), bag(3, 3, "a", model_id=pa.array([1, 0, -4]))])
    assert joined["d-3"].model.tolist() == [0, -1, 2, 1, -1]
