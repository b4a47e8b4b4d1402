"""Every way of damage is found, and what is sound is said to be."""

import errno
import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline import ranges
from zoo_pipeline.cli import main
from zoo_pipeline.data import load_dataset
from zoo_pipeline.errors import UnreachableError
from zoo_pipeline.store import integrity
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.integrity import verify
from zoo_pipeline.store.regular import RegularFiles
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.schema import SHARD_KEY

FIRST, SECOND, THIRD = (f"checkpoints/group-0000{number}.parquet" for number in range(3))


@pytest.fixture
def run(small_run, tmp_path):
    """A copy of the small run that can be damaged."""
    copy = tmp_path / "run"
    shutil.copytree(small_run, copy)
    return copy


def verified(run):
    return verify(RunDirectory(str(run)))


def only_fault(run):
    """What is wrong with the one shard that is damaged."""
    found = verified(run)
    assert found["complete"] is False
    ((name, fault),) = found["damaged"].items()
    return name, fault


def rewritten(path, change, footer=lambda footer: footer):
    """Write a shard anew: another table, or another footer, and all checksums right."""
    table = pq.read_table(path)
    metadata = table.schema.metadata
    told = json.dumps(footer(json.loads(metadata[SHARD_KEY]))).encode()
    table = change(table).replace_schema_metadata({**metadata, SHARD_KEY: told})
    pq.write_table(table, path, write_page_checksum=True)


def without_manifest(run):
    (run / "manifest.json").unlink()
    return run


def test_a_sound_run_is_read_to_the_last_byte(run):
    found = verified(run)
    assert (found["complete"], found["damaged"], found["done"]) == (True, {}, 3)
    assert found["bytes"] == sum(file.stat().st_size for file in (run / "checkpoints").iterdir())
    unfinished = verified(without_manifest(run))
    assert (unfinished["complete"], unfinished["damaged"], unfinished["done"]) == (False, {}, 3)


@pytest.mark.parametrize("manifest", [True, False])
def test_any_flipped_bit_is_found_with_a_manifest_and_without(run, manifest):
    if not manifest:
        without_manifest(run)
    whole = (run / SECOND).read_bytes()
    rng = np.random.default_rng(0)
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for at in [*rng.integers(len(whole), size=40).tolist(), *rng.integers(footer, len(whole), size=40).tolist()]:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << int(rng.integers(8))
        (run / SECOND).write_bytes(damaged)
        assert only_fault(run)[0] == SECOND, at


def test_a_sound_run_in_epoch_ranges_is_whole(train_small, monkeypatch):
    monkeypatch.setattr(ranges, "SHARD_BYTES", 15_000)  # as of models too large for one shard
    found = verified(train_small())
    assert (found["complete"], found["damaged"], found["done"]) == (True, {}, 12)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_truncation_is_found(run, share):
    whole = (run / FIRST).read_bytes()
    (run / FIRST).write_bytes(whole[: int(share * len(whole))])
    assert only_fault(run)[0] == FIRST


def test_missing_foreign_and_exchanged_shards_are_found(run):
    (run / THIRD).rename(run / "checkpoints/group-00007.parquet")
    found = verified(run)
    assert (found["missing"], found["foreign"]) == ([THIRD], ["checkpoints/group-00007.parquet"])
    assert (found["complete"], found["done"]) == (False, 2)
    shutil.copy(run / FIRST, run / THIRD)
    name, fault = only_fault(run)
    assert name == THIRD
    assert "manifest" in fault
    assert only_fault(without_manifest(run)) == (THIRD, f"{THIRD}: model 0 is in {FIRST}, too")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.take(list(range(len(table)))[::-1]), "its rows are not every epoch"),
        (
            lambda table: pa.concat_tables([table[:3], table[2:3], table[4:]]),
            "its rows are not every epoch from 0",
        ),
        (lambda table: table.drop_columns("step"), "column step: is missing"),
    ],
)
def test_rows_that_are_not_what_they_should_be_are_found(run, change, told):
    without_manifest(run)
    rewritten(run / FIRST, change)
    name, fault = only_fault(run)
    assert name == FIRST
    assert told in fault


@pytest.mark.parametrize(("flagged", "sound"), [([1], True), ([0], False), ([], False)])
def test_what_is_not_finite_has_to_be_of_a_model_that_is_flagged(run, flagged, sound):
    without_manifest(run)

    def change(table):
        weights = np.stack(table["weights"].to_numpy()).astype(np.float32)
        weights[6, 3] = np.nan  # model 1 after epoch 2
        column = pa.FixedSizeListArray.from_arrays(weights.reshape(-1), type=table.schema.field("weights").type)
        return table.set_column(7, table.schema.field("weights"), column)

    rewritten(run / FIRST, change, lambda footer: footer | {"diverged": flagged})
    if sound:
        assert verified(run)["damaged"] == {}
    else:
        assert "1 row with weights that are not finite" in only_fault(run)[1]
        assert "the first is model 1 after epoch 2" in only_fault(run)[1]


@pytest.mark.parametrize("told", [[0, 4], [1, 3], "all", None, [0, 10**12]])
def test_a_footer_that_tells_another_range_is_found(run, told):
    without_manifest(run)
    rewritten(run / FIRST, lambda table: table, lambda footer: footer | {"range": told})
    assert f"holds epochs 0 to 3, its footer says {told}" in only_fault(run)[1]


def test_a_table_of_models_has_to_list_those_of_the_shards(run):
    models = pq.read_table(run / "models.parquet")
    for other in (models[:5], pa.concat_tables([models[:5], models[:1]])):
        pq.write_table(other, run / "models.parquet")
        assert only_fault(run)[0] == "models.parquet"
    (run / "models.parquet").write_bytes(b"no Parquet")
    assert only_fault(run)[0] == "models.parquet"


def test_the_command_says_what_is_damaged_and_what_it_advises_mends_it(train_small, capsys):
    run = train_small()
    assert main(["verify", str(run)]) == 0
    before = (run / SECOND).read_bytes()
    (run / SECOND).write_bytes(before[:-9] + b"x" + before[-8:])
    assert main(["verify", str(run)]) == 1
    told = capsys.readouterr()
    assert SECOND in "".join(told.out.split())
    assert "zoo: the run is not whole; zoo verify RUN --repair makes it again" in told.err
    (run / SECOND).unlink()
    (run / "manifest.json").unlink()
    train_small(resume=True)
    assert main(["verify", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is True
    assert (run / SECOND).read_bytes() == before


def shards_of(run):
    return {path.name: path.read_bytes() for path in (run / "checkpoints").iterdir()}


@pytest.mark.parametrize("ranged", [False, True], ids=["whole", "ranges"])
def test_repair_trains_exactly_what_is_damaged_and_ends_with_the_same_bytes(train_small, monkeypatch, ranged, capsys):
    monkeypatch.setattr(ranges, "SHARD_BYTES", 15_000 if ranged else 1 << 28)
    run = train_small()
    before, manifest = shards_of(run), (run / "manifest.json").read_bytes()
    kept = {path.name: path.stat().st_mtime_ns for path in (run / "checkpoints").iterdir()}
    of_second = sorted(name for name in before if name.startswith("group-00001"))
    harmed = run / "checkpoints" / of_second[-1]
    data = bytearray(before[harmed.name])
    data[len(data) // 2] ^= 4
    harmed.write_bytes(data)
    (run / "models.parquet").write_bytes(b"no Parquet")
    engine = (run / "engine.json").read_bytes()
    assert main(["verify", str(run), "--repair", "--executor", "inline"]) == 0
    told = capsys.readouterr().out
    assert "groups that were damaged or lost: 1\n" in told
    assert "trained 1 group, found 2 done" in told
    assert shards_of(run) == before
    assert (run / "manifest.json").read_bytes() == manifest
    assert (run / "engine.json").read_bytes() == engine
    now = {path.name: path.stat().st_mtime_ns for path in (run / "checkpoints").iterdir()}
    assert sorted(name for name in now if now[name] != kept[name]) == of_second
    assert verified(run)["complete"]


def test_repair_finishes_a_run_without_manifest_and_leaves_its_sound_groups(run, capsys):
    before = shards_of(without_manifest(run))
    (run / FIRST).unlink()
    data = bytearray(before["group-00002.parquet"])
    start = pq.ParquetFile(run / THIRD).metadata.row_group(0).column(7).data_page_offset
    data[start + 500] ^= 1
    (run / THIRD).write_bytes(data)
    assert main(["verify", str(run), "--repair", "--executor", "inline"]) == 0
    assert "groups that were damaged or lost: 2\n" in capsys.readouterr().out
    assert shards_of(run) == before
    assert verified(run)["complete"]


def test_repair_asks_for_data_of_ones_own(run, tmp_path, capsys, monkeypatch):
    digits = load_dataset("digits")
    images, labels = digits.train_images, digits.train_labels
    np.savez(
        tmp_path / "mine.npz",
        train_images=images[:80], train_labels=labels[:80], test_images=images[80:99], test_labels=labels[80:99],
    )  # fmt: skip
    sizes = ["zoo.training.epochs=1", "zoo.population.seeds=2", "resources={stack: 1, threads: 1}"]
    words = [word for size in sizes for word in ("--set", size)]
    data = ["--set", f"zoo.dataset={tmp_path / 'mine.npz'}"]
    out = tmp_path / "own"
    assert main(["train", "digits-demo", "--out", str(out), "--executor", "inline", *words, *data]) == 0
    shard = out / "checkpoints" / "group-00000.parquet"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    repair = ["verify", str(out), "--repair", "--executor", "inline"]
    capsys.readouterr()
    assert main(repair) == 2
    assert (
        "of which it keeps the name alone (mine); say where they lie: --set zoo.dataset=PATH" in capsys.readouterr().err
    )
    assert main([*repair, *data, "--set", "resources={stack: 1, threads: 1}"]) == 0
    assert shard.read_bytes() == whole
    monkeypatch.setenv("ZOO_JOB", "jobs/run.py")
    assert main(["train", "digits-demo", "--out", str(tmp_path / "x"), "--set", "zoo.dataset=mine.npz"]) == 2
    assert "mine.npz: no such file or folder in the copy of the code that a job works in" in capsys.readouterr().err


def test_a_damaged_table_of_an_analysis_is_found(small_run, tmp_path, capsys):
    run = shutil.copytree(small_run, tmp_path / "run")
    assert main(["verify", str(run)]) == 0
    for name in ("assignments", "trajectories", "geometry", "linkage"):
        path = run / "analysis" / "default" / f"{name}.parquet"
        whole = path.read_bytes()
        path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        assert f"{name}.parquet: its seal is of other bytes" in verified(run)["damaged_analyses"]["default"]
        path.write_bytes(whole)
    path.write_bytes(whole[:100])
    capsys.readouterr()
    assert main(["verify", str(run)]) == 1
    assert capsys.readouterr().err == "zoo: the run is whole, but an analysis is not; make that again\n"
    assert "run zoo analyze again with --overwrite" in verified(run)["damaged_analyses"]["default"]
    assert main(["verify", str(run), "--repair", "--executor", "inline"]) == 1, "nothing is to be trained"
    assert main(["analyze", str(run), "--overwrite", "--executor", "inline"]) == 0
    assert main(["verify", str(run)]) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda said: said | {"format_version": 3}, "says format_version 3, expected 1"),
        (lambda said: said | {"spec_hash": said["spec_hash"].upper()}, "says spec_hash '"),
        (lambda said: said | {"checkpoints": 25}, "says checkpoints 25, expected 24"),
        (lambda said: said | {"shards": said["shards"][:2]}, "says checkpoints 24, expected 16"),
        (lambda said: said | {"shards": 7}, "lists no shards as docs/format.md says"),
        (lambda said: said | {"models": said["models"] | {"rows": 7}}, "has 6 rows, the manifest says 7"),
    ],
)
def test_a_manifest_that_is_not_of_the_run_is_found_and_made_again(change, told, run, capsys):
    whole = (run / "manifest.json").read_bytes()
    shards = {path: path.stat().st_mtime_ns for path in (run / "checkpoints").iterdir()}
    (run / "manifest.json").write_text(json.dumps(change(json.loads(whole))))
    assert told in only_fault(run)[1]
    assert main(["verify", str(run)]) == 1
    assert "zoo verify RUN --repair makes it again" in capsys.readouterr().err
    assert main(["verify", str(run), "--repair", "--executor", "inline"]) == 0
    assert (run / "manifest.json").read_bytes() == whole
    assert {path: path.stat().st_mtime_ns for path in shards} == shards


def test_a_sound_run_is_not_touched_by_repair(run):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert main(["verify", str(run), "--repair", "--executor", "inline"]) == 0
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"spec": None}, "spec.json does not say what was trained"),
        ({"spec": {"dataset": "gone"}, "spec_hash": "x"}, "the spec_hash in spec.json is not that of its spec"),
    ],
)
def test_what_cannot_be_trained_again_is_left_as_it_is(run, document, message, capsys):
    (run / FIRST).write_bytes(b"no Parquet")
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps({**spec, **document}))
    before = shards_of(run)
    assert main(["verify", str(run), "--repair", "--executor", "inline"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert shards_of(run) == before
    assert (run / "manifest.json").exists()


def test_whoever_is_killed_in_repair_leaves_a_run_that_resume_finishes(run, monkeypatch):
    before = shards_of(run)
    (run / SECOND).write_bytes(before["group-00001.parquet"][:-9])
    real = Files.discard
    monkeypatch.setattr(Files, "discard", lambda files, name: None if name == "manifest.json" else real(files, name))
    monkeypatch.setattr("zoo_pipeline.runtime.training.train_zoo", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert main(["verify", str(run), "--repair", "--executor", "inline"]) == 130
    monkeypatch.undo()
    assert not (run / SECOND).exists()
    found = verified(run)
    assert (found["complete"], found["missing"]) == (False, [SECOND, "models.parquet"])
    assert main(["verify", str(run), "--repair", "--executor", "inline"]) == 0
    assert shards_of(run) == before


def test_a_store_that_does_not_answer_is_no_damage_of_the_table_of_models(run, monkeypatch):
    real = integrity.open_shard

    def silent(files, name, *others):
        if name == "models.parquet":
            raise UnreachableError("the store does not answer")
        return real(files, name, *others)

    monkeypatch.setattr(integrity, "open_shard", silent)
    with pytest.raises(UnreachableError, match=r"^the store does not answer$"):
        verified(run)


@pytest.mark.parametrize("call", ["open", "size"])
def test_a_shard_that_the_system_cannot_look_at_is_not_damaged_and_repair_leaves_it(call, run, monkeypatch, capsys):
    real, whole = getattr(RegularFiles, call), (run / SECOND).read_bytes()
    (run / FIRST).write_bytes(b"damaged")

    def refused(disk, path, *others, **more):
        if path.endswith(SECOND):
            raise OSError(errno.EMFILE, "Too many open files", path)
        return real(disk, path, *others, **more)

    monkeypatch.setattr(RegularFiles, call, refused)
    assert main(["verify", str(run), "--repair", "--executor", "inline"]) == 2
    assert "Too many open files" in capsys.readouterr().err
    assert (run / SECOND).read_bytes() == whole
    assert (run / FIRST).read_bytes() == b"damaged"
