import numpy as np

from zoo_pipeline.trajectories.content import canonical_order, content_numbers


def test_rows_sort_as_their_bytes_do():
    rng = np.random.default_rng(0)
    weights = rng.integers(-2, 3, (200, 3)).astype(np.float32)
    order = canonical_order(weights)
    assert [weights[i].tobytes() for i in order] == sorted(row.tobytes() for row in weights)


def test_any_shuffle_sorts_to_the_same_array():
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((50, 5)).astype(np.float32)
    weights[10:20] = weights[0]
    shuffled = weights[rng.permutation(50)]
    np.testing.assert_array_equal(weights[canonical_order(weights)], shuffled[canonical_order(shuffled)])


def test_rows_need_not_be_contiguous():
    weights = np.random.default_rng(2).standard_normal((5, 20)).astype(np.float32).T
    np.testing.assert_array_equal(canonical_order(weights), canonical_order(weights.copy()))


def test_equal_rows_share_a_content_number():
    rows = np.array([[0, 0], [0, 0], [0, 1], [2, 0], [2, 0], [2, 0]], np.float32)
    assert content_numbers(rows).tolist() == [0, 0, 1, 2, 2, 2]
    assert content_numbers(rows[:0]).tolist() == []


def test_the_sign_of_a_zero_makes_no_other_content():
    rows = np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, 1.0], [-0.0, -1.0]], np.float32)
    order = canonical_order(rows)
    assert order.tolist() == [0, 1, 2, 3]
    assert content_numbers(rows[order]).tolist() == [0, 0, 0, 1]
