"""A GPU finds what a CPU finds; and what needs more memory than it has is done on the CPU."""

import numpy as np
import pytest
import torch

from zoo_pipeline.trajectories import recover
from zoo_pipeline.trajectories.approximate import recover_in_shares
from zoo_pipeline.trajectories.crew import Alone, computed
from zoo_pipeline.trajectories.sketch import sketch

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")


def test_what_does_not_fit_into_a_gpu_is_done_on_the_cpu():
    tried = []

    def double(number, *, device):
        tried.append(device)
        if device == "cuda":
            raise torch.OutOfMemoryError
        return 2 * number

    assert list(Alone("cuda").map(double, [3, 4])) == [6, 8]
    assert tried == ["cuda", "cpu", "cuda", "cpu"]


def test_a_lack_of_memory_on_the_cpu_is_told():
    def fail(*, device):
        raise torch.OutOfMemoryError(device)

    with pytest.raises(torch.OutOfMemoryError, match=r"^cpu$"):
        computed("cuda", fail)


@on_gpu
def test_a_gpu_recovers_what_a_cpu_recovers(trained_zoo):
    parts = np.array_split(trained_zoo.shuffled(0).weights, 3)
    (expected, described), (found, drawn) = (
        recover_in_shares(lambda share: iter([parts[share]]), 3, trained_zoo.layout, crew=Alone(device))
        for device in ("cpu", "cuda")
    )
    for name in ("family", "trajectory", "position", "content", "leaf", "direction_decided", "parent_row"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-4)
    np.testing.assert_allclose(found.linkage[:, 2], expected.linkage[:, 2], rtol=1e-6)
    np.testing.assert_array_equal(drawn.step_length, described.step_length)


@on_gpu
def test_a_gpu_compares_every_row_as_a_cpu_does(trained_zoo):
    expected, found = (recover(trained_zoo.weights, trained_zoo.layout, device=device) for device in ("cpu", "cuda"))
    np.testing.assert_array_equal(found.trajectory, expected.trajectory)
    np.testing.assert_array_equal(found.position, expected.position)


@on_gpu
def test_a_gpu_sketches_as_a_cpu_does(trained_zoo):
    expected, found = (sketch(trained_zoo.weights, trained_zoo.layout, device) for device in ("cpu", "cuda"))
    assert np.abs(found.codes.astype(int) - expected.codes).max() <= 1
    np.testing.assert_array_equal(found.keys, expected.keys)
