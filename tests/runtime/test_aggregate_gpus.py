"""Aggregate actors share the GPUs that Ray has; here it is told of GPUs that the machine does not have."""

import time

import pytest
import ray

from zoo_pipeline.runtime.aggregate import ACTORS_PER_GPU, aggregate_actors


@pytest.fixture(scope="module")
def _one_gpu():
    ray.init(address="local", num_cpus=6, num_gpus=1, include_dashboard=False, logging_level="warning")
    try:
        yield
    finally:
        ray.shutdown()


@pytest.mark.usefixtures("_one_gpu")
def test_as_many_actors_as_asked_for_of_which_some_share_the_gpu():
    with aggregate_actors(ACTORS_PER_GPU + 2) as crew:
        assert ray.available_resources().get("GPU", 0) == pytest.approx(0, abs=1e-6)
        assert crew.workers == len(crew.actors) == ACTORS_PER_GPU + 2
    deadline = time.monotonic() + 60
    while ray.available_resources().get("GPU", 0) < 1 and time.monotonic() < deadline:  # Ray learns of ends in a while
        time.sleep(0.1)
    with aggregate_actors(1) as crew:
        assert ray.available_resources()["GPU"] == pytest.approx(1 - 1 / ACTORS_PER_GPU, abs=1e-6)
        assert crew.workers == 1
