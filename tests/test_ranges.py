from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_pipeline import ranges
from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import BUILT_IN
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.plan import plan
from zoo_pipeline.ranges import SHARD_BYTES, cut, most_models
from zoo_pipeline.recipes import load_config


def planned(*overrides):
    return plan(load_config("digits-demo", overrides), BUILT_IN["digits"])


@given(st.integers(0, 1), st.integers(1, 300), st.integers(1, 500), st.integers(100, 2 * SHARD_BYTES))
def test_ranges_follow_each_other_and_shards_stay_small(first, last, group_size, row_bytes):
    models = min(group_size, most_models(last - first + 1, row_bytes))
    found = cut(first, last, models, row_bytes)
    assert (found[0][0], found[-1][1]) == (first, last)
    assert all(after == (before + 1) for (_, before), (after, _) in pairwise(found))
    sizes = [(end - start + 1) * models * row_bytes for start, end in found]
    assert all(size <= SHARD_BYTES or size == row_bytes for size in sizes)
    if (last - first + 1) * row_bytes <= SHARD_BYTES:
        assert len(found) == 1, "fewer models rather than ranges"
    assert all(end - start == found[0][1] - found[0][0] for start, end in found[:-1])


@pytest.mark.parametrize(
    ("row_bytes", "models"),
    [
        (SHARD_BYTES // 100, 2),  # whole histories of 50 epochs
        (SHARD_BYTES // 50, 1),
        (SHARD_BYTES // 40, 40),  # not one history: as many models as fit with one epoch each
        (SHARD_BYTES // 5, 5),
        (SHARD_BYTES, 1),
        (3 * SHARD_BYTES, 1),
    ],
)
def test_a_group_has_whole_histories_in_a_shard_or_one_epoch_of_all_its_models(row_bytes, models):
    assert most_models(50, row_bytes) == models


def test_a_large_model_gets_a_range_of_epochs_per_shard(monkeypatch):
    row_bytes = 4 * 1_210 + 32
    monkeypatch.setattr(ranges, "SHARD_BYTES", 7 * row_bytes)
    made = planned("zoo.population={seeds: 5, group_size: 3}", "zoo.training.epochs=8")
    assert [len(group.models) for group in made.groups] == [3, 2]
    for group in made.groups:
        assert [(part.first, part.last) for part in group.ranges] == [(0, 1), (2, 3), (4, 5), (6, 7), (8, 8)]
        assert [part.rows for part in group.ranges] == [2 * len(group.models)] * 4 + [len(group.models)]
        assert (group.epochs, group.rows) == (8, 9 * len(group.models))
    assert made.groups[1].ranges[1].shard == "checkpoints/group-00001-epochs-0002-0003.parquet"
    assert made.ranges == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 8]]
    assert (made.checkpoints, made.raw_bytes) == (45, 45 * row_bytes)
    summary = made.summary()
    assert (summary["groups"], summary["files"], len(summary["shards"])) == (2, 10, 10)
    assert summary["shards"][9] == {
        "shard": "checkpoints/group-00001-epochs-0008-0008.parquet", "models": 2, "model_ids": [3, 4], "epochs": [8, 8],
        "rows": 2, "raw_bytes": 2 * row_bytes,
    }  # fmt: skip


def test_without_the_initialisation_rows_start_at_epoch_1():
    made = planned("zoo.training.save_initial=false")
    assert made.checkpoints == 64 * 25
    assert [(part.first, part.last, part.rows) for part in made.groups[0].ranges] == [(1, 25, 400)]
    assert made.spec_hash != planned().spec_hash
    keys = [[model.model_key for group in each.groups for model in group.models] for each in (made, planned())]
    assert keys[0] == keys[1], "what is saved of a model does not change it"


def test_a_row_that_parquet_cannot_hold_is_refused():
    fits = Architecture("mlp", (1, 8, 8), 10, hidden=(65_536, 8_125)).dimension
    assert fits == 536_829_225
    assert planned("zoo.model.hidden=[65536, 8125]").groups[0].ranges[0].raw_bytes == 4 * fits + 32
    with pytest.raises(ConfigError, match=r"the network has 536,894,772 weights, more than the 536,870,848"):
        planned("zoo.model.hidden=[65536, 8126]")
