import numpy as np
import pytest

from zoo_pipeline.data.labels import class_numbers
from zoo_pipeline.errors import DataError


def test_integers_are_numbered_in_their_order():
    train, test, classes = class_numbers("here", np.array([10, -3, 700]), np.array([10, 10, 8]))
    assert (train.tolist(), test.tolist(), classes) == ([2, 0, 3], [2, 2, 1], 4)
    assert train.dtype == test.dtype == np.int64


def test_names_are_numbered_by_the_alphabet():
    train, test, classes = class_numbers("here", np.array(["dog", "cat"]), np.array(["elephant"]))
    assert (train.tolist(), test.tolist(), classes) == ([1, 0], [2], 3)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([1, 1], [1], "here: all labels are 1; expected at least 2 classes"),
        ([0.5, 1.5], [0.5], "here: labels are float64, expected integers or class names; convert them"),
        ([1, 2], ["cat"], "here: training labels are int64, test labels <U3; use one kind for both"),
        ([[1], [2]], [1], "here: labels have shape 2×1, expected one per image"),
        ([2**70, 1], [1], "here: labels are object, expected integers or class names; convert them"),
    ],
)
def test_labels_that_are_no_classes_are_refused(train, test, message):
    with pytest.raises(DataError) as caught:
        class_numbers("here", np.array(train), np.array(test))
    assert str(caught.value) == message
