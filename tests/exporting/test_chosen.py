from dataclasses import replace

import numpy as np
import pytest

from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.exporting.copies import told_apart
from zoo_pipeline.exporting.selection import Contents, numbers, select


def contents(shard: str, *rows: tuple[int, int]) -> Contents:
    ids, epochs = np.array(rows, dtype=np.int32).T
    return Contents(shard, None, None, None, ids, epochs, np.full(len(ids), -1))


# Model 2 has been trained for one epoch so far, and there is no model 1.
RUN = [contents("a", (0, 0), (0, 1), (0, 2), (3, 0), (3, 1), (3, 2)), contents("b", (2, 0), (2, 1))]


def chosen(models: str | None = None, epochs: str | None = None) -> list[tuple[int, int]]:
    return [
        (int(part.contents.model_id[row]), int(part.contents.epoch[row]))
        for part in select(RUN, models, epochs)
        for row in part.rows
    ]


def test_without_a_wish_everything_is_chosen():
    assert len(chosen()) == 8
    assert [part.models.tolist() for part in select(RUN)] == [[0, 3], [2]]


def test_models_and_epochs_are_chosen_by_numbers_and_ranges():
    assert chosen("2-3", "1") == [(3, 1), (2, 1)]
    assert chosen(" 0 , 3", "0-1") == [(0, 0), (0, 1), (3, 0), (3, 1)]
    assert [part.contents.shard for part in select(RUN, "2")] == ["b"]


def test_last_is_the_last_epoch_that_each_model_has():
    assert chosen(epochs="last") == [(0, 2), (3, 2), (2, 1)]
    assert chosen("2", "last") == [(2, 1)]


@pytest.mark.parametrize(
    ("models", "epochs", "told"),
    [
        ("0-3", None, r"--models 0-3: the run has no model 1; there are 0, 2-3$"),
        ("999999999", None, r"the run has no model 999999999; there are 0, 2-3$"),
        ("0-999999999", None, r"the run has no model 1; there are"),
        (None, "0,3", r"--epochs 0,3: the run has no epoch 3; there are 0-2$"),
        ("2", "2", r"--models 2 --epochs 2: no checkpoint of the run is both; choose others$"),
        ("3-0", None, r"--models 3-0: got '3-0', expected numbers and ranges such as 0,1,5-9$"),
        ("", None, r"--models : got '', expected numbers and ranges"),
        (None, "first", r"--epochs first: got 'first', expected numbers"),
        ("1" * 5000, None, r"expected numbers and ranges"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(models, epochs, told):
    with pytest.raises(ConfigError, match=told):
        select(RUN, models, epochs)


def test_numbers_are_read_as_ranges_whatever_their_size():
    assert numbers("--models", "7,0-999999999") == ((7, 7), (0, 999_999_999))


def test_steps_stand_for_epochs_that_nobody_knows():
    run = [replace(contents("a", (0, -1), (0, -1), (1, -1)), step=np.array([500, 1000, 500]))]
    assert sum(len(part.rows) for part in select(run)) == 3
    assert [part.rows.tolist() for part in select(run, epochs="last")] == [[1, 2]]
    assert [part.by_step.tolist() for part in select(run)] == [[True] * 3]
    with pytest.raises(StoreError, match=r"of a model or epoch that no name says \(-1\)"):
        select(run, by_epoch=True)
    assert len(select([contents("a", (0, -1))])) == 1
    with pytest.raises(StoreError, match=r"of a model that no name says \(-1\)"):
        select([contents("a", (-1, 5))])


def test_steps_tell_several_checkpoints_of_an_epoch_apart():
    several = replace(contents("c", (2, 1), (2, 1), (0, 7)), step=np.array([10, 20, -1]))
    alike = replace(several, step=np.array([10, 10, -1]))
    for run in (several, alike):
        assert [part.rows.tolist() for part in select([run], epochs="last")] == [[1, 2]]

    def told(run, digests, *, by_epoch=False):
        asked = []

        def digests_of(part):
            asked.append(part.rows.tolist())
            return [digests[row].encode() for row in part.rows]

        (part,) = told_apart(select([run]), digests_of, by_epoch=by_epoch)
        assert asked in ([], [[0, 1]]), "of the rows that are not alone"
        return part.rows.tolist(), part.by_step.tolist()

    assert told(several, "ab") == ([0, 1, 2], [True, True, False])
    assert told(several, "aa") == ([0, 1, 2], [True, True, False])
    assert told(several, "aa", by_epoch=True) == told(alike, "aa") == ([0, 2], [False, False])
    for run, by_epoch in ((several, True), (alike, False), (alike, True)):
        with pytest.raises(
            StoreError, match=r"has 2 checkpoints of model 2 after epoch 1( and step 10)?, with different weights"
        ):
            told(run, "ab", by_epoch=by_epoch)
