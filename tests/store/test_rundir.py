import json
import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from zoo_pipeline.data import BUILT_IN
from zoo_pipeline.errors import StoreError
from zoo_pipeline.plan import plan
from zoo_pipeline.recipes import load_config
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.survey import survey
from zoo_pipeline.zoo import Zoo


def planned(*overrides):
    return plan(load_config("digits-demo", overrides), BUILT_IN["digits"])


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_claimed_directory_says_what_it_is(tmp_path):
    run = RunDirectory(str(tmp_path / "run"))
    run.claim(planned())
    spec = json.loads((tmp_path / "run" / "spec.json").read_text())
    assert spec["spec_hash"] == planned().spec_hash
    assert spec["spec"] == planned().spec()
    assert (spec["models"], spec["groups"], spec["checkpoints"], spec["dimension"]) == (64, 4, 1_664, 1_210)
    assert set(spec["versions"]) == {"zoo_pipeline", "torch", "numpy", "pyarrow", "ray", "scikit-learn"}


def test_a_second_claim_needs_resume_or_overwrite(tmp_path):
    run = RunDirectory(str(tmp_path))
    run.claim(planned())
    before = tree(tmp_path)
    with pytest.raises(StoreError, match="already holds this run; go on with it by --resume"):
        run.claim(planned())
    run.claim(planned("resources.threads=2"), resume=True)
    assert tree(tmp_path) == before


def test_another_configuration_is_refused_with_the_difference(tmp_path):
    run = RunDirectory(str(tmp_path))
    run.claim(planned())
    before = tree(tmp_path)
    for resume in (True, False):
        with pytest.raises(StoreError) as caught:
            run.claim(planned("zoo.training.epochs=9", "zoo.model.hidden=[4]"), resume=resume)
        assert "training.epochs: 25 there, 9 here" in str(caught.value)
        assert "model.hidden: [16] there, [4] here" in str(caught.value)
        assert "batch_size" not in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
    assert tree(tmp_path) == before
    run.claim(planned("zoo.training.epochs=9"), overwrite=True)
    assert run.spec["spec"]["training"]["epochs"] == 9


@pytest.mark.parametrize("flags", [{}, {"resume": True}, {"overwrite": True}])
@pytest.mark.parametrize("with_spec", [False, True])
def test_a_directory_that_holds_something_else_is_never_touched(tmp_path, flags, with_spec):
    run = RunDirectory(str(tmp_path))
    if with_spec:
        run.claim(planned())
    (tmp_path / "thesis.tex").write_text("years of work")
    before = tree(tmp_path)
    (tmp_path / ".DS_Store").write_text("of a file manager")
    before = tree(tmp_path)
    if with_spec and flags == {"resume": True}:  # the run is gone on with, and what lies beside it stays
        run.claim(planned(), **flags)
    else:
        told = r"not empty and not a run \(holds thesis\.tex\)"
        if with_spec:
            told = "is a run, but holds thesis.tex, too" if flags else "already holds this run"
        with pytest.raises(StoreError, match=told):
            run.claim(planned(), **flags)
    assert tree(tmp_path) == before


def test_what_a_file_manager_leaves_is_not_in_the_way(tmp_path):
    (tmp_path / ".DS_Store").write_text("of a file manager")
    run = RunDirectory(str(tmp_path))
    run.claim(planned())
    run.claim(planned(), overwrite=True)
    assert (tmp_path / ".DS_Store").exists()


def test_a_file_is_no_place_for_a_run(tmp_path):
    (tmp_path / "README.md").write_text("hello")
    with pytest.raises(StoreError, match=r"README\.md: is a file; name a new or empty directory"):
        RunDirectory(str(tmp_path / "README.md")).claim(planned())


def test_engine_choices_are_made_once(tmp_path):
    run = RunDirectory(str(tmp_path))
    assert run.engine(lambda: {"threads": 1}) == {"threads": 1}
    assert run.engine(lambda: {"threads": 2}) == {"threads": 1}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format_version": 99}', '{"format_version": 1, "name": "x"}'])
def test_a_damaged_spec_is_named(tmp_path, content):
    (tmp_path / "spec.json").write_text(content)
    with pytest.raises(StoreError, match=r"spec\.json"):
        RunDirectory(str(tmp_path)).check(planned(), resume=True)


def test_the_survey_tells_done_missing_damaged_and_foreign(small_run, tmp_path):
    size = sum(shard.stat().st_size for shard in (small_run / "checkpoints").iterdir())
    assert survey(RunDirectory(str(small_run))) | {"run": "", "spec_hash": ""} == {
        "run": "", "name": "digits-demo", "spec_hash": "", "complete": True, "manifest": True, "shards": 3, "done": 3,
        "missing": [], "damaged": {}, "foreign": [], "states": 0, "analyses": ["default"], "report": True,
        "groups": {"all": 3, "done": 3, "damaged": 0}, "bytes": size, "failed": {}, "progress": None,
        "damaged_analyses": {},
    }  # fmt: skip
    broken = tmp_path / "broken"
    shutil.copytree(small_run, broken)
    shards = sorted((broken / "checkpoints").iterdir())
    shards[0].unlink()
    shards[1].write_bytes(shards[1].read_bytes()[:-10])
    (broken / "checkpoints" / "mine.parquet").write_bytes(b"x")
    found = survey(RunDirectory(str(broken)))
    assert not found["complete"]
    assert found["done"] == 1
    assert found["missing"] == ["checkpoints/group-00000.parquet"]
    assert list(found["damaged"]) == ["checkpoints/group-00001.parquet"]
    assert found["foreign"] == ["checkpoints/mine.parquet"]
    assert found["groups"] == {"all": 3, "done": 1, "damaged": 1}


def test_a_run_is_claimed_also_where_the_package_is_not_installed(tmp_path, monkeypatch):
    """On a cluster the package travels as a working directory, without its metadata."""
    from zoo_pipeline import __version__
    from zoo_pipeline.store import rundir

    real = rundir.version

    def not_installed(name):
        if name == "zoo_pipeline":
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(rundir, "version", not_installed)
    run = RunDirectory(str(tmp_path))
    run.claim(planned())
    assert run.spec["versions"]["zoo_pipeline"] == __version__


@pytest.mark.parametrize("content", ["[]", "{}", '{"shards": 3}', '{"shards": [{"shard": "a"}]}', "[" * 100_000])
def test_a_damaged_manifest_is_named(small_run, tmp_path, content):
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    (copy / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=r"manifest\.json: .*the run is damaged, zoo verify RUN says what mends it"):
        Zoo(str(copy))
    found = survey(RunDirectory(str(copy)))
    assert (found["manifest"], found["complete"], found["done"]) == (True, False, 3)
    assert [*found["damaged"]] == ["manifest.json"]
    assert found["groups"] == {"all": 3, "done": 3, "damaged": 0}


def test_the_survey_holds_files_against_the_manifest(small_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    shard = sorted((copy / "checkpoints").iterdir())[0]
    shard.write_bytes(b"PAR1" + shard.read_bytes())
    found = survey(RunDirectory(str(copy)))
    assert "bytes and 8 rows, the manifest says" in found["damaged"]["checkpoints/group-00000.parquet"]
    shutil.copy(small_run / "checkpoints/group-00000.parquet", shard)
    assert survey(RunDirectory(str(copy)))["complete"]
    (copy / "models.parquet").unlink()
    (copy / "analysis/default/summary.json").unlink()
    found = survey(RunDirectory(str(copy)))
    assert (found["complete"], found["missing"], found["analyses"]) == (False, ["models.parquet"], [])


def test_a_changed_spec_is_noticed(small_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(small_run, copy)
    spec = (copy / "spec.json").read_text()
    (copy / "spec.json").write_text(spec.replace('"epochs": 3', '"epochs": 4'))
    with pytest.raises(StoreError, match=r"the spec_hash in spec\.json is not that of its spec"):
        Zoo(str(copy))
