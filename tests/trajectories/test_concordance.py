import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from zoo_pipeline.trajectories.concordance import concordance


def of(epoch, position, content=None, placed=None):
    content = np.arange(len(epoch)) if content is None else np.array(content)
    placed = None if placed is None else np.array(placed)
    return concordance(np.array(epoch), np.array(position), content, placed)


@given(st.permutations(list(range(9))), st.lists(st.integers(0, 100), min_size=9, max_size=9, unique=True))
def test_is_kendalls_tau_without_ties(position, epoch):
    assert of(epoch, position).tau == pytest.approx(kendalltau(epoch, position).statistic)


def test_counts_pairs_for_and_against():
    found = of([0, 1, 2, 3], [0, 2, 1, 3])
    assert (found.pairs, found.balance) == (6, 4)
    assert of([0, 1, 2], [2, 1, 0]).tau == -1


def test_pairs_of_equal_weights_or_equal_epoch_are_not_counted():
    assert of([0, 1, 2], [1, 0, 2], content=[5, 5, 6]).tau == 1
    found = of([4, 4, 7], [1, 0, 2])
    assert (found.pairs, found.balance) == (2, 2)


def test_pairs_with_an_unplaced_checkpoint_add_nothing():
    found = of([0, 1, 2, 3], [0, 1, 2, 0], placed=[True, True, True, False])
    assert (found.pairs, found.balance) == (6, 3)


def test_one_checkpoint_has_no_tau():
    assert np.isnan(of([3], [0]).tau)


def test_many_checkpoints_are_counted_across_blocks():
    n = 2500
    found = of(np.arange(n), np.arange(n)[::-1])
    assert (found.pairs, found.balance) == (n * (n - 1) // 2, -n * (n - 1) // 2)
