import numpy as np
import pytest

from zoo_pipeline.errors import ZooError
from zoo_pipeline.trajectories import buckets
from zoo_pipeline.trajectories.buckets import Buckets
from zoo_pipeline.trajectories.crew import Alone

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
    with pytest.raises(
        ZooError, match=r"^analysis: 5 checkpoints compared at once take 50 bytes, but there are 49 bytes for them"
    ):
        five.waves(every, 10, 49, 1)


def test_parts_are_several_for_each_worker(five, monkeypatch):
    monkeypatch.setattr(buckets, "_PARTS_PER_WORKER", 2)
    assert listed(five.waves(np.arange(5), 10, 1_000, 1)) == [[[0, 1, 2], [3, 4]]]


def test_of_large_buckets_the_distances_count_too(five, monkeypatch):
    monkeypatch.setattr(buckets, "BUCKET_ROWS", 4)
    needed = 5 * 10 + 8 * 25
    assert listed(five.waves(np.array([2, 3]), 10, needed, 1)) == [[[2]], [[3]]]
    assert listed(five.waves(np.array([2, 3]), 10, needed + 10, 1)) == [[[2], [3]]]
    with pytest.raises(ZooError, match="5 checkpoints compared at once take 250 bytes"):
        five.waves(np.array([2, 3]), 10, needed - 1, 1)


def directions(groups, each, spread):
    """Sketches of rows around directions that are all alike by what they share, int8[groups · each, 64]."""
    rng = np.random.default_rng(groups)
    shared = np.random.default_rng(0).standard_normal(64)
    centres = np.repeat(1.5 * shared + rng.standard_normal((groups, 64)), each, axis=0)
    rows = centres + spread * rng.standard_normal(centres.shape)
    return np.round(127 * rows / np.abs(rows).max(axis=1, keepdims=True)).astype(np.int8)


def pieces(codes, most_rows):
    label = buckets._components(codes, most_rows, Alone())
    return [np.flatnonzero(label == one).tolist() for one in np.unique(label)]


def test_rows_that_are_too_many_are_put_together_the_most_alike_first(monkeypatch):
    """As networks of a hundred weights, which are alike by chance."""
    codes = directions(groups=20, each=3, spread=0.6)
    assert [len(piece) for piece in pieces(codes, 60)] == [60]
    groups = [list(range(start, start + 3)) for start in range(0, 60, 3)]
    for most in (3, 6, 30, 59):
        monkeypatch.setattr(buckets, "PILED_ROWS", most)
        assert len(pieces(codes, 60)) == 1
        found = pieces(codes, 59)
        assert most - 3 < max(map(len, found)) <= most
        assert all(any(set(group) <= set(piece) for piece in found) for group in groups)
        assert most > 3 or found == groups
    monkeypatch.setattr(buckets, "PILED_ROWS", 60)
    assert len(pieces(codes, 2)) == 1  # so little memory is refused, where rows are fetched


def test_what_is_surely_one_trajectory_is_put_together_up_to_the_memory_and_refused_beyond(monkeypatch):
    monkeypatch.setattr(buckets, "PILED_ROWS", 8)
    codes = np.concatenate([directions(groups=1, each=20, spread=0.05), directions(groups=5, each=2, spread=0.3)])
    assert [len(piece) for piece in pieces(codes, 30)] == [30]
    sure, *others = pieces(codes, 25)
    assert sure == list(range(20))
    assert max(map(len, others)) <= 8
    with pytest.raises(ZooError, match=r"^analysis: more than 19 checkpoints are alike, one by one, .*--memory"):
        pieces(codes, 19)


def test_a_component_is_as_large_as_its_rows_and_distances_have_memory():
    for row_bytes, memory in ((400, 10_000), (4, 1_000_000), (10_000, 9_999)):
        most = buckets._most_rows(row_bytes, memory)
        assert most * row_bytes + 8 * most**2 <= memory < (most + 1) * row_bytes + 8 * (most + 1) ** 2
