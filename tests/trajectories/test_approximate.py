import numpy as np
import pytest

from zoo_pipeline.errors import ZooError
from zoo_pipeline.trajectories import bag_geometry, buckets, neighbours, recover
from zoo_pipeline.trajectories.approximate import recover_in_shares
from zoo_pipeline.trajectories.components import connected
from zoo_pipeline.trajectories.crew import Alone

COLUMNS = ("trajectory", "position", "progress", "content")


def in_shares(weights, layout, shares, batch=7):
    """Recovers a bag from so many shares, read a few rows at a time."""
    parts = np.array_split(weights, shares)

    def read(share):
        for start in range(0, len(parts[share]), batch):
            yield parts[share][start : start + batch]

    return recover_in_shares(read, shares, layout)


@pytest.fixture(params=[1, 40, 2048], ids=["a bucket each", "some buckets", "one bucket"])
def bucket_rows(request, monkeypatch):
    monkeypatch.setattr(buckets, "BUCKET_ROWS", request.param)


def partition(labels):
    """The same for equal partitions, however they are numbered."""
    return np.unique(labels, return_index=True)[1][np.unique(labels, return_inverse=True)[1]].tolist()


def test_both_modes_agree(trained_zoo, bucket_rows):
    zoo = trained_zoo.shuffled(0)
    exact = recover(zoo.weights, zoo.layout)
    found, geometry = in_shares(zoo.weights, zoo.layout, 3)
    assert partition(found.trajectory) == partition(exact.trajectory)
    np.testing.assert_array_equal(found.position, exact.position)
    assert found.threshold == exact.threshold
    assert found.cut == pytest.approx(exact.cut)
    assert found.linkage.shape == exact.linkage.shape
    described = bag_geometry(zoo.weights, exact.trajectory, exact.position)
    for name in ("step_length", "turning_angle", "curvature", "arc_length", "displacement"):
        np.testing.assert_allclose(getattr(geometry, name), getattr(described, name))
    np.testing.assert_allclose(np.sort(geometry.smoothness), np.sort(described.smoothness))


def test_all_is_as_in_the_exact_mode_where_one_bucket_holds_the_bag(trained_zoo):
    exact, (found, _) = (
        recover(trained_zoo.weights, trained_zoo.layout),
        in_shares(trained_zoo.weights, trained_zoo.layout, 2),
    )
    for name, expected in vars(exact).items():
        if name != "seconds":
            np.testing.assert_array_equal(getattr(found, name), expected, err_msg=name)


def test_shares_and_shuffles_change_nothing(trained_zoo, bucket_rows):
    order = np.random.default_rng(1).permutation(len(trained_zoo.weights))
    whole, _ = in_shares(trained_zoo.weights, trained_zoo.layout, 1, batch=1000)
    parts, _ = in_shares(trained_zoo.weights[order], trained_zoo.layout, 5)
    for name in (*COLUMNS, "confidence", "leaf"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name)[order], err_msg=name)


def test_rows_that_are_not_finite_are_left_out_and_equal_rows_stay_together(trained_zoo, bucket_rows):
    weights = np.concatenate([trained_zoo.weights, trained_zoo.weights[:9]])
    weights[20, 3] = np.nan
    found, geometry = in_shares(weights, trained_zoo.layout, 4)
    assert (found.trajectory[20], found.position[20], found.leaf[20], found.content[20]) == (-1, -1, -1, -1)
    assert np.isnan(found.confidence[20])
    assert np.isnan(geometry.arc_length[20])
    assert found.trajectory[-9:].tolist() == found.trajectory[:9].tolist()
    assert found.content[-9:].tolist() == found.content[:9].tolist()
    assert len(np.unique(np.delete(found.content, 20))) == len(trained_zoo.weights) - 1


class Backwards(Alone):
    """A crew that does everything from behind."""

    def map(self, function, items):
        return [function(item, device="cpu") for item in reversed(items)][::-1]

    def exchange(self, give, sources, take, parts):
        given = [give(source) for source in reversed(sources)][::-1]
        return self.map(
            lambda number, device: take(parts[number], [blocks[number] for blocks in given], device=device),
            range(len(parts)),
        )


def test_the_order_in_which_buckets_are_worked_on_changes_nothing(trained_zoo, monkeypatch):
    monkeypatch.setattr(buckets, "BUCKET_ROWS", 1)
    forwards, _ = in_shares(trained_zoo.weights, trained_zoo.layout, 2)
    parts = np.array_split(trained_zoo.weights, 2)
    found, _ = recover_in_shares(lambda share: iter([parts[share]]), 2, trained_zoo.layout, crew=Backwards())
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(found, name), getattr(forwards, name), err_msg=name)


def test_lists_find_what_all_pairs_find(monkeypatch):
    rng = np.random.default_rng(0)
    starts = np.repeat(rng.standard_normal((150, 64)), 6, axis=0)
    units = starts + 0.3 * rng.standard_normal(starts.shape)
    units = (units / np.linalg.norm(units, axis=1, keepdims=True)).astype(np.float32)[rng.permutation(900)]
    every = connected(neighbours.alike(units, 0.6, 2, Alone()), 900)
    assert every.max() == 149
    monkeypatch.setattr(neighbours, "ALL_PAIRS_UP_TO", 100)
    pairs = neighbours.alike(units, 0.6, 2, Alone())
    cosines = (units[pairs[:, 0]] * units[pairs[:, 1]]).sum(1)
    assert cosines.min() >= 0.6 - 1e-6
    assert (every[pairs[:, 0]] == every[pairs[:, 1]]).all()
    assert connected(pairs, 900).max() <= 165  # of 150 groups hardly one in ten comes apart


def test_more_rows_that_are_alike_than_can_be_compared_are_refused_in_one_line(trained_zoo, monkeypatch):
    monkeypatch.setattr(buckets, "MOST_CHECKPOINTS", 12)
    monkeypatch.setattr(buckets, "PILED_ROWS", 4)
    monkeypatch.setattr(buckets, "_SURE_COSINE", 0.5)
    with pytest.raises(
        ZooError, match=r"^analysis: more than 12 checkpoints are alike, one by one, .* or analyse fewer at once$"
    ):
        in_shares(trained_zoo.weights, trained_zoo.layout, 1)
