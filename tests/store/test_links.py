"""Nothing is written or removed through a folder of a run that is a link out of it."""

import pytest

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.filesystem import Files


@pytest.fixture
def elsewhere(tmp_path):
    """A folder with a file, to which the folder checkpoints of a run is a link."""
    outside, run = tmp_path / "elsewhere", tmp_path / "run"
    outside.mkdir()
    run.mkdir()
    (outside / "mine.parquet").write_text("mine")
    (outside / ".left.tmp").write_text("of somebody")
    (run / "checkpoints").symlink_to(outside)
    return outside


@pytest.mark.parametrize(
    "call",
    [
        lambda files: files.publish("checkpoints/new.parquet", b"x"),
        lambda files: files.replace("checkpoints/mine.parquet", b"x"),
        lambda files: files.remove("checkpoints/mine.parquet"),
        lambda files: files.discard("checkpoints/mine.parquet"),
        lambda files: files.sweep("checkpoints"),
    ],
    ids=["publish", "replace", "remove", "discard", "sweep"],
)
def test_what_lies_elsewhere_stays_as_it_is(call, elsewhere, tmp_path):
    with pytest.raises(StoreError, match=r"its folder is a link to .*elsewhere, outside of the run"):
        call(Files(str(tmp_path / "run")))
    left = {path.name: path.read_text() for path in elsewhere.iterdir()}
    assert left == {"mine.parquet": "mine", ".left.tmp": "of somebody"}


def test_of_a_linked_folder_the_link_is_removed(elsewhere, tmp_path):
    Files(str(tmp_path / "run")).remove("checkpoints")
    assert list((tmp_path / "run").iterdir()) == []
    assert (elsewhere / "mine.parquet").exists()


def test_a_run_that_is_itself_a_link_is_written(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    assert Files(str(tmp_path / "run")).publish("checkpoints/new.parquet", b"x")
    assert (tmp_path / "real" / "checkpoints" / "new.parquet").read_bytes() == b"x"


def test_links_within_a_run_are_followed(tmp_path):
    (tmp_path / "run" / "more").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints").symlink_to(tmp_path / "run" / "more")
    assert Files(str(tmp_path / "run")).publish("checkpoints/new.parquet", b"x")
