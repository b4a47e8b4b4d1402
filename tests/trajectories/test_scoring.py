from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from zoo_pipeline.trajectories.recovery import Recovery, recover
from zoo_pipeline.trajectories.scoring import Scores, score, score_trajectories


def recovery_of(trajectory, position, decided):
    """A recovery with given answers; every row has its own content, the tree is a chain of edges of height 1."""
    trajectory = np.array(trajectory, np.int32)
    kept = trajectory >= 0
    leaf = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    m = int(kept.sum())
    return Recovery(
        family=trajectory,
        trajectory=trajectory,
        position=np.array(position, np.int32),
        progress=np.zeros(len(leaf), np.float32),
        confidence=np.ones(len(leaf), np.float32),
        leaf=leaf,
        content=leaf,
        linkage=np.tile([0.0, 0, 1, 0], (m - 1, 1)),
        edges=np.stack([np.arange(m - 1), np.arange(1, m)], axis=1).astype(np.int32),
        cut=0.5,
        threshold=None,
        length=np.bincount(trajectory[kept]).astype(np.int32),
        parent=np.full(len(decided), -1, np.int32),
        parent_row=np.full(len(decided), -1),
        direction_decided=np.array(decided),
        direction_confidence=np.ones(len(decided), np.float32),
        seconds={},
    )


# Model 0 (5 epochs) is recovered whole and forward; model 1 (4) whole, undecided and backward; model 2 (4) in two
# fragments of 3 (forward but for one swap) and 1; model 3 (2) whole; one row is left out.
MODEL = np.array([0] * 5 + [1] * 4 + [2] * 4 + [3] * 2 + [3])
EPOCH = np.array([*range(5), *range(4), *range(4), *range(3)])
FOUND = recovery_of(
    trajectory=[0] * 5 + [1] * 4 + [2, 2, 2, 3] + [4, 4] + [-1],
    position=[*range(5), 3, 2, 1, 0, 0, 2, 1, 0, 0, 1, -1],
    decided=[True, False, True, False, False],
)
WEIGHTS = np.random.default_rng(0).standard_normal((16, 6)).astype(np.float32)


def test_figures_of_a_case_counted_by_hand():
    found = score(FOUND, WEIGHTS, MODEL, EPOCH)
    assert found.trajectories_found == 5
    assert found.trajectories_true == 4
    assert found.exact_trajectories == 3 / 4
    assert found.ari == pytest.approx(adjusted_rand_score(MODEL[:15], FOUND.trajectory[:15]))
    assert found.ami == pytest.approx(adjusted_mutual_info_score(MODEL[:15], FOUND.trajectory[:15]))
    # |τ|: 1, 1, (1 + 1 − 1) of 6 pairs, 1
    assert found.kendall_tau_mean == pytest.approx((3 + 1 / 6) / 4)
    assert found.kendall_tau_min == pytest.approx(1 / 6)
    assert found.order_exact == 3 / 4
    # of the three models with at least 3 checkpoints: right, undecided, right
    assert found.direction_accuracy == pytest.approx(2 / 3)
    assert found.direction_undecided == pytest.approx(1 / 3)


def test_table_of_the_same_case():
    found = score_trajectories(FOUND, MODEL, EPOCH)
    assert found.model_id.tolist() == [0, 1, 2, 2, 3]
    assert found.purity.tolist() == [1] * 5
    assert found.exact.tolist() == [True, True, False, False, True]
    np.testing.assert_allclose(found.kendall_tau, [1, -1, 1 / 3, np.nan, 1], rtol=1e-6)
    assert found.order_exact.tolist() == [True, True, False, False, True]
    assert found.direction_correct.tolist() == [True, False, True, False, False]


def test_a_wrong_direction_is_not_right_even_when_decided():
    backward = replace(FOUND, direction_decided=np.ones(5, bool))
    found = score(backward, WEIGHTS, MODEL, EPOCH)
    assert found.direction_accuracy == pytest.approx(2 / 3)
    assert found.direction_undecided == 0


def test_joined_trajectories_are_impure_and_not_exact_but_may_be_ordered():
    joined = recovery_of([0] * 5, [0, 1, 2, 3, 4], [True])
    model_id, epoch = np.array([7, 7, 7, 9, 9]), np.array([0, 1, 2, 0, 1])
    table = score_trajectories(joined, model_id, epoch)
    assert table.model_id.tolist() == [7]
    assert table.purity[0] == pytest.approx(0.6)
    assert not table.exact[0]
    found = score(joined, WEIGHTS[:5], model_id, epoch)
    assert found.ari == 0
    assert found.exact_trajectories == 0
    assert found.order_exact == 1


def test_margin_is_the_nearest_stranger_over_the_longest_step(drawn_zoo):
    zoo = drawn_zoo.shuffled(0)
    distances = cdist(zoo.weights, zoo.weights, "cosine")
    same = zoo.model_id[:, None] == zoo.model_id
    consecutive = same & (zoo.epoch[:, None] + 1 == zoo.epoch)
    expected = distances[~same].min() / distances[consecutive].max()
    assert score(recover(zoo.weights), zoo.weights, zoo.model_id, zoo.epoch).margin == pytest.approx(expected, rel=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 20))
def test_margin_needs_only_the_tree_whatever_the_labels(seed, n):
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((n, 3)).astype(np.float32)
    model_id, epoch = rng.integers(0, 3, n), np.arange(n)
    distances = cdist(weights, weights, "cosine")
    strangers = distances[model_id[:, None] != model_id]
    steps = [
        distances[rows[i], rows[i + 1]]
        for rows in (np.flatnonzero(model_id == m) for m in range(3))
        for i in range(len(rows) - 1)
    ]
    found = score(recover(weights), weights, model_id, epoch).margin
    assert found == (pytest.approx(strangers.min() / max(steps), rel=1e-5) if len(strangers) and steps else None)


def test_without_truth_only_the_number_found_is_known():
    assert score(FOUND, WEIGHTS) == Scores(trajectories_found=5)
    assert score(FOUND, WEIGHTS, np.full(16, -1), EPOCH) == Scores(trajectories_found=5)


def test_without_epochs_only_the_partition_is_scored():
    found = score(FOUND, WEIGHTS, MODEL)
    assert found.exact_trajectories == 3 / 4
    assert (found.margin, found.kendall_tau_mean, found.order_exact, found.direction_accuracy) == (None,) * 4
    assert np.isnan(score_trajectories(FOUND, MODEL).kendall_tau).all()


def test_rows_of_unknown_model_or_epoch_are_not_scored():
    model_id, epoch = MODEL.copy(), EPOCH.copy()
    model_id[9:13] = -1  # the fragmented model
    epoch[4] = -1
    found = score(FOUND, WEIGHTS, model_id, epoch)
    assert found.trajectories_true == 3
    assert (found.exact_trajectories, found.ari, found.ami) == (1, 1, 1)
    assert (found.kendall_tau_min, found.order_exact, found.margin) == (1, 1, None)
    assert score_trajectories(FOUND, model_id, epoch).model_id.tolist() == [0, 1, -1, -1, 3]


def test_single_checkpoints_have_no_order_to_score():
    single = recovery_of([0, 1, 2], [0, 0, 0], [False] * 3)
    found = score(single, WEIGHTS[:3], np.array([4, 5, 6]), np.zeros(3, int))
    assert (found.exact_trajectories, found.ari, found.ami) == (1, 1, 1)
    assert (found.margin, found.kendall_tau_min, found.order_exact, found.direction_undecided) == (None,) * 4
