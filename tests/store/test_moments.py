"""Which checkpoint of a model is meant."""

import numpy as np
import pyarrow as pa
import pytest

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.store.moments import last_of_models, rows_meant

# Model 7 knows steps alone; of model 2 the last epoch is there twice; −1 is no model, but rows of nobody.
ROWS = [(2, 0, 0), (2, 1, 10), (2, 1, 20), (2, 1, 20), (7, -1, 500), (7, -1, 400), (-1, -1, -1)]


def columns(rows):
    models, epochs, steps = np.array(rows).T
    return models.astype(np.int32), epochs.astype(np.int32), steps.astype(np.int64)


def test_each_model_has_one_last_row_whatever_the_order():
    for order in (range(7), [6, 3, 5, 0, 2, 4, 1]):
        rows = [ROWS[at] for at in order]
        last = last_of_models(*columns(rows))
        assert sorted(row for row, is_last in zip(rows, last, strict=True) if is_last) == [
            (-1, -1, -1), (2, 1, 20), (7, -1, 500),
        ]  # fmt: skip
    assert last_of_models(*columns(np.empty((0, 3)))).tolist() == []


def meant(model, epoch=None, step=None):
    rows = [row for row in ROWS if row[0] == model and epoch in (None, "last", row[1])]
    names = ("model_id", "epoch", "step")
    table = pa.table(dict(zip(names, columns(rows or np.empty((0, 3))), strict=True)))
    found = rows_meant("runs/x", table, model, epoch, step)
    return tuple(found[name] for name in names)


def test_a_checkpoint_is_named_by_epoch_step_or_both():
    assert meant(2, 0) == meant(2, step=0) == (2, 0, 0)
    assert meant(2, "last") == meant(2, 1, 20) == meant(2, step=20) == (2, 1, 20)
    assert meant(7, step=400) == meant(7, -1, 400) == (7, -1, 400)
    assert meant(7, "last") == (7, -1, 500)
    assert meant(2, "last", 10) == (2, 1, 10), "the last of that step"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ((2, 1), "has 3 checkpoints of model 2 after epoch 1, of the steps 10, 20; name one by its step"),
        ((7, -1), "has 2 checkpoints of model 7 after epoch -1, of the steps 500, 400; name one by its step"),
        ((2, 5), "has no checkpoint of model 2 after epoch 5"),
        ((9, "last"), "has no checkpoint of model 9 after epoch last"),
    ],
)
def test_what_is_none_or_several_is_told(asked, told):
    with pytest.raises(StoreError) as caught:
        meant(*asked)
    assert str(caught.value) == f"runs/x: {told}"


def test_nothing_named_is_refused():
    with pytest.raises(ConfigError, match=r"which checkpoint of model 2\? name an epoch or a step"):
        meant(2)
