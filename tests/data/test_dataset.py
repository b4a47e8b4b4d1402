from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_pipeline.data import BUILT_IN, Dataset, load_dataset


def numbered(rows: int) -> Dataset:
    """A dataset whose images and labels are the numbers of their rows."""
    numbers = np.arange(rows)
    images = numbers.astype(np.float32).reshape(-1, 1, 1, 1)
    return Dataset("numbered", rows, images, numbers, images[:2], numbers[:2])


@given(rows=st.integers(1, 300), fractions=st.tuples(*[st.floats(0.001, 1)] * 2))
def test_a_larger_part_holds_every_smaller_one(rows, fractions):
    small, large = (numbered(rows).part(fraction).train_labels.tolist() for fraction in sorted(fractions))
    assert set(small) <= set(large)
    assert len(small) == max(1, round(min(fractions) * rows))
    assert large == sorted(set(large))


def test_a_part_keeps_images_with_their_labels_and_all_test_images():
    whole = numbered(100)
    part = whole.part(0.3)
    assert part.train_images.ravel().tolist() == part.train_labels.tolist()
    assert len(part.train_labels) == 30
    assert part.train_labels.tolist() != list(range(30))
    assert np.array_equal(part.test_images, whole.test_images)
    assert part.classes == whole.classes


def test_which_rows_a_part_has_never_changes():
    assert numbered(20).part(0.25).train_labels.tolist() == [2, 3, 11, 13, 15]


def test_the_whole_is_the_dataset_as_it_was():
    digits = load_dataset("digits")
    assert digits.part(1.0).content_sha256 == digits.content_sha256


def test_resizing_keeps_labels_and_changes_facts_as_declared():
    digits = load_dataset("digits")
    resized = digits.resized(5)
    assert resized.train_images.shape == (1_437, 1, 5, 5)
    assert resized.test_images.shape == (360, 1, 5, 5)
    assert np.array_equal(resized.train_labels, digits.train_labels)
    declared = BUILT_IN["digits"].resized(5)
    assert declared.content_sha256 is None
    assert replace(resized.facts, content_sha256=None) == declared
    assert resized.content_sha256 != digits.content_sha256


def test_the_same_size_is_the_same_dataset():
    digits = load_dataset("digits")
    assert digits.resized(8).content_sha256 == digits.content_sha256
    assert BUILT_IN["digits"].resized(8) == BUILT_IN["digits"]


def test_facts_without_a_hash_stay_without():
    assert BUILT_IN["stl10"].resized(32) == replace(BUILT_IN["stl10"], image_shape=(3, 32, 32))


@pytest.mark.parametrize("change", ["name", "train_images", "test_labels"])
def test_the_hash_covers_everything(change):
    digits = load_dataset("digits")
    value = getattr(digits, change)
    other = replace(digits, **{change: "others" if change == "name" else value[::-1]})
    assert other.content_sha256 != digits.content_sha256
