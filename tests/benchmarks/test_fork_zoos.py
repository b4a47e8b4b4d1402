import numpy as np

from benchmarks.fork_zoos import FAMILIES, PROBLEMS, train_zoo
from zoo_pipeline.trajectories.scenarios.problems import TETRIS

OF_TETRIS, OF_MNIST = 406, 403


def test_a_seed_says_what_is_trained_and_every_family_is_forked():
    one, again = train_zoo(OF_TETRIS, None), train_zoo(OF_TETRIS, None)
    np.testing.assert_array_equal(one.weights, again.weights)
    np.testing.assert_array_equal(one.parent_epoch, again.parent_epoch)
    assert one.layout == TETRIS.layout
    assert len(np.unique(one.family)) == FAMILIES
    assert set(one.family[one.parent_model >= 0]) == set(one.family)


def test_zoos_of_mnist_need_its_files():
    assert train_zoo(OF_MNIST, None) is None


def test_the_shares_of_problems_are_whole():
    assert sum(share for _, share in PROBLEMS) == 1
