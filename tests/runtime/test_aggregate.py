import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from ray import cloudpickle

from zoo_pipeline.config import Resources
from zoo_pipeline.errors import StoreError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.runtime.aggregate import aggregate_actors
from zoo_pipeline.runtime.session import ray_session
from zoo_pipeline.trajectories.approximate import recover_in_shares

LAYOUT = Layout.of({"fc1.weight": (16, 20), "fc1.bias": (16,), "fc2.weight": (10, 16), "fc2.bias": (10,)})
SHARES = 5


@pytest.fixture(scope="module")
def _session():
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file
    with ray_session("local", Resources()):
        yield


def read(share):
    """Twelve walks of nine steps, dealt out to the shares."""
    rng = np.random.default_rng(0)
    starts = rng.standard_normal((12, 1, LAYOUT.dimension))
    paths = starts + np.cumsum(0.2 * rng.standard_normal((12, 9, LAYOUT.dimension)), axis=1)
    rows = paths.reshape(-1, LAYOUT.dimension).astype(np.float32)[rng.permutation(108)]
    yield np.array_split(rows, SHARES)[share]


def read_and_die_once(marker, share):
    if share == 2 and not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)
    yield from read(share)


def same(found, expected):
    for name, values in vars(expected).items():
        if name != "seconds":
            np.testing.assert_array_equal(getattr(found, name), values, err_msg=name)


@pytest.mark.usefixtures("_session")
@pytest.mark.parametrize("actors", [1, 2])
def test_actors_find_what_one_process_finds_however_many_they_are(actors):
    expected, _ = recover_in_shares(read, SHARES, LAYOUT)
    with aggregate_actors(actors) as crew:
        found, _ = recover_in_shares(read, SHARES, LAYOUT, crew=crew)
    assert len(found.length) == 12
    same(found, expected)


@pytest.mark.usefixtures("_session")
def test_the_work_of_a_lost_actor_is_done_again(tmp_path):
    expected, _ = recover_in_shares(read, SHARES, LAYOUT)
    with aggregate_actors(2) as crew:
        dying = partial(read_and_die_once, str(tmp_path / "died"))
        found, _ = recover_in_shares(dying, SHARES, LAYOUT, crew=crew)
    assert (tmp_path / "died").exists()
    same(found, expected)


def fail(share):
    if share == 3:
        raise StoreError("share 3: damaged")
    yield from read(share)


@pytest.mark.usefixtures("_session")
def test_an_error_in_an_actor_ends_the_work_with_its_message():
    with aggregate_actors(2) as crew, pytest.raises(StoreError, match=r"^share 3: damaged$"):
        recover_in_shares(fail, SHARES, LAYOUT, crew=crew)


def read_and_be_killed_once(folder, share):
    """On the second reading of share 1, that for its bucket's rows, waits for somebody to kill the process."""
    if share == 1 and not (folder / "first").exists():
        (folder / "first").touch()
    elif share == 1 and not (folder / "killed").exists():
        (folder / "pid.part").write_text(str(os.getpid()))
        (folder / "pid.part").rename(folder / "pid")
        time.sleep(60)
    yield from read(share)


@pytest.mark.usefixtures("_session")
def test_an_actor_that_is_killed_in_the_middle_changes_nothing(tmp_path):
    def kill():
        while not (tmp_path / "pid").exists():
            time.sleep(0.05)
        (tmp_path / "killed").touch()
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    expected, _ = recover_in_shares(read, SHARES, LAYOUT)
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with aggregate_actors(2) as crew:
        found, _ = recover_in_shares(partial(read_and_be_killed_once, tmp_path), SHARES, LAYOUT, crew=crew)
    killer.join(10)
    assert not killer.is_alive()
    same(found, expected)
