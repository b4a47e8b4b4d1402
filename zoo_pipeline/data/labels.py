"""Labels of any kind as class numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.errors import DataError


def class_numbers(
    where: object, train: NDArray[Any], test: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Number the labels of both splits from 0, in the order of the integers or of the class names.

    Args:
        where: the file or folder, for errors.
        train: integers or text[n].
        test: the same kind of labels[m].

    Returns:
        int64[n], int64[m], and the number of classes.

    Raises:
        DataError: other types, one kind of labels for training and another for testing, or fewer than two classes.
    """
    kinds = {_kind(where, labels) for labels in (train, test)}
    if len(kinds) > 1:
        raise DataError(f"{where}: training labels are {train.dtype}, test labels {test.dtype}; use one kind for both")
    names, numbers = np.unique(np.concatenate([train, test]), return_inverse=True)
    if len(names) < 2:
        raise DataError(f"{where}: all labels are {names[0]}; expected at least 2 classes")
    numbers = numbers.astype(np.int64)
    return numbers[: len(train)], numbers[len(train) :], len(names)


def _kind(where: object, labels: NDArray[Any]) -> str:
    if labels.ndim != 1:
        shown = "×".join(map(str, labels.shape))
        raise DataError(f"{where}: labels have shape {shown}, expected one per image")
    if np.issubdtype(labels.dtype, np.integer):
        return "integers"
    if np.issubdtype(labels.dtype, np.str_):
        return "names"
    raise DataError(f"{where}: labels are {labels.dtype}, expected integers or class names; convert them")
