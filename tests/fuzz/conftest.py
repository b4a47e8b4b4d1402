import pytest

from benchmarks.fuzz.cases import targets
from benchmarks.fuzz.example import make_example


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """A small sound run, of which copies are damaged. Read only."""
    return make_example(tmp_path_factory.mktemp("example") / "run")


@pytest.fixture(scope="session")
def judged(example):
    """All targets by name."""
    return targets(example)
