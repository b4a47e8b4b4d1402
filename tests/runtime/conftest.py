import pytest

from zoo_pipeline.config import Resources
from zoo_pipeline.data import load_dataset
from zoo_pipeline.plan import plan
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.store.rundir import RunDirectory


@pytest.fixture
def prepared(small_config, tmp_path):
    """A claimed run of three groups, its plan and data, and who could train it."""
    dataset = load_dataset("digits")
    made = plan(small_config, dataset.facts)
    run = RunDirectory(str(tmp_path / "run"))
    run.claim(made)
    return made, dataset, run, InlineExecutor(Resources())
