import numpy as np
import pytest

from zoo_pipeline.errors import ZooError
from zoo_pipeline.trajectories import buckets
from zoo_pipeline.trajectories.buckets import Buckets

SIZES = [3, 4, 1, 5, 2]


@pytest.fixture
def five():
    return Buckets(np.arange(sum(SIZES)), np.cumsum([0, *SIZES]), np.ones(5, np.int64))


def listed(waves):
    return [[part.tolist() for part in wave] for wave in waves]


def test_waves_hold_as_many_rows_as_there_is_memory_for(five):
    every = np.arange(5)
    whole = [[[0], [1], [2], [3], [4]]]  # each wave is cut into parts, here as small as they can be
    assert listed(five.waves(every, 10, 1_000, 1)) == whole
    assert listed(five.waves(every, 10, 80, 1)) == [[[0], [1], [2]], [[3], [4]]]
    assert listed(five.waves(every, 10, 50, 1)) == [[[0]], [[1], [2]], [[3]], [[4]]]
    assert listed(five.waves(np.array([1, 4]), 10, 60, 1)) == [[[1], [4]]]
    with pytest.raises(ZooError, match=r"^analysis: 5 checkpoints are alike.*: give more by --memory$"):
        five.waves(every, 10, 49, 1)


def test_parts_are_several_for_each_worker(five, monkeypatch):
    monkeypatch.setattr(buckets, "_PARTS_PER_WORKER", 2)
    assert listed(five.waves(np.arange(5), 10, 1_000, 1)) == [[[0, 1, 2], [3, 4]]]


def test_of_large_buckets_the_distances_count_too(five, monkeypatch):
    monkeypatch.setattr(buckets, "BUCKET_ROWS", 4)
    needed = 5 * 10 + 8 * 25
    assert listed(five.waves(np.array([2, 3]), 10, needed, 1)) == [[[2]], [[3]]]
    assert listed(five.waves(np.array([2, 3]), 10, needed + 10, 1)) == [[[2], [3]]]
    with pytest.raises(ZooError, match="5 checkpoints are alike"):
        five.waves(np.array([2, 3]), 10, needed - 1, 1)
