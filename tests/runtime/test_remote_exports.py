"""Exports to a bucket, and imports from it, whatever fails in between."""

import numpy as np
import pytest

from benchmarks.chaos.proxy import PASSING
from tests.store.buckets import server
from zoo_pipeline.cli import main
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.zoo import Zoo

pytest.importorskip("s3fs")
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # aiohttp's sessions end with the process

INLINE = ["--executor", "inline"]


@pytest.fixture(scope="module")
def endpoint():
    with server("moto") as address:
        yield address


@pytest.mark.parametrize("name", ["state-dict", "safetensors", "hub", "model-zoos"])
def test_a_bucket_gets_the_files_that_a_disk_gets_and_they_come_back(name, small_run, bucket, tmp_path):
    files = bucket.files()
    command = ["export", str(small_run), "--format", name, *INLINE]
    assert main([*command, "--to", str(tmp_path / "out")]) == 0
    options = [word for option in bucket.words for word in ("--storage-option", option)]
    bucket.proxy.inject(*PASSING)
    assert main([*command, "--to", bucket.root, *options]) == 0
    assert bucket.proxy.injected.total() == len(PASSING)
    here = Files(str(tmp_path / "out"))
    assert {path: files.read(path) for path in files.below()} == {path: here.read(path) for path in here.below()}
    assert main(["import", bucket.root, "--out", str(tmp_path / "run"), *options, *INLINE]) == 0
    np.testing.assert_array_equal(Zoo(str(tmp_path / "run")).weights(), Zoo(str(small_run)).weights())
