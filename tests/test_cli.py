"""The `zoo` command as a user calls it: exit codes, one line per mistake, nothing half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.cli import main
from zoo_pipeline.messages import tell_training
from zoo_pipeline.models import Layout
from zoo_pipeline.places import JOB
from zoo_pipeline.runtime.training import TrainingReport
from zoo_pipeline.store.shards import contents_sha256

SMALL = ["--set", "zoo.training.epochs=2", "--set", "zoo.population.seeds=4", "--set", "zoo.population.group_size=2"]
INLINE = ["--executor", "inline"]


def sums(root: Path) -> list[str]:
    return [contents_sha256(pq.read_table(shard)) for shard in sorted((root / "checkpoints").glob("*.parquet"))]


def test_plan_prints_a_table_or_json_and_changes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", "digits-demo"]) == 0
    text = capsys.readouterr().out
    assert "1,664" in text
    assert "checkpoints/group-00003.parquet" in text
    assert main(["plan", "tetris-seeds", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["models"], found["checkpoints"], found["dimension"], found["groups"]) == (256, 13_056, 100, 2)
    assert found["raw_bytes"] == 13_056 * 432
    assert list(tmp_path.iterdir()) == []


def test_a_plan_never_fetches_data(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo_pipeline.workflow.load_dataset", lambda *_: pytest.fail("reads data"))
    for recipe in ("svhn-cnn-s-seed", "paper-a1"):
        assert main(["plan", recipe, "--data-dir", str(tmp_path), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["spec_hash"] is None


def test_the_published_zoos_are_planned_in_one_table(capsys):
    assert main(["plan", "--all-published", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["zoos"]) == 27
    assert {key: found["totals"][key] for key in ("models", "states")} == {"models": 50_360, "states": 2_585_360}
    assert found["zoos"][-1] == {
        "name": "usps-cnn-s-seed", "dataset": "usps", "architecture": "cnn-s", "dimension": 2_464, "models": 1_000,
        "states": 51_000, "groups": 4, "files": 4, "raw_bytes": 51_000 * (4 * 2_464 + 32),
    }  # fmt: skip
    assert main(["plan", "--all-published"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 27 + 1
    assert lines[-1].split()[:4] == ["27", "zoos", "50,360", "2,585,360"]
    assert "tiny-imagenet-resnet-18-seed" in lines[-5]
    assert main(["plan", "digits-demo", "--all-published"]) == 2
    assert "name no CONFIG and no --set" in capsys.readouterr().err


@pytest.fixture
def two_runs(tmp_path) -> str:
    """A recipe that makes two small runs."""
    path = tmp_path / "two.yaml"
    path.write_text(
        "name: 'two-{seeding}'\nzoo:\n  dataset: digits\n  model: {architecture: mlp, hidden: [4]}\n"
        "  training: {optimizer: adam, learning_rate: 1e-3, batch_size: 64, epochs: 2}\n"
        "  population: {seeds: 2, seeding: [fixed, random], grid: {activation: [tanh, relu]}}\n"
    )
    return str(path)


def test_a_recipe_that_makes_several_runs_trains_each_in_a_directory_of_its_name(capsys, tmp_path, two_runs):
    assert main(["plan", two_runs]) == 0
    text = capsys.readouterr().out
    assert "two-fixed" in text
    assert "two-random" in text
    assert main(["plan", two_runs, "--json"]) == 0
    assert [run["models"] for run in json.loads(capsys.readouterr().out)["runs"]] == [4, 4]
    out = tmp_path / "runs"
    assert main(["run", two_runs, "--out", str(out), *INLINE]) == 0
    for name in ("two-fixed", "two-random"):
        assert (out / name / "manifest.json").exists()
        assert "activation tanh, relu" in (out / name / "report.html").read_text()
    seeds = [pq.read_table(out / name / "models.parquet")["seed"].to_pylist() for name in ("two-fixed", "two-random")]
    assert seeds[0] == [0, 1, 0, 1]
    assert len({*seeds[0], *seeds[1]}) == 6
    assert main(["train", two_runs, "--out", str(out), *INLINE]) == 2
    assert "already holds this run" in capsys.readouterr().err


def test_of_several_runs_none_is_started_where_one_is_refused(capsys, tmp_path, two_runs):
    out = tmp_path / "runs"
    (out / "two-random").mkdir(parents=True)
    (out / "two-random" / "diary.txt").write_text("mine")
    assert main(["train", two_runs, "--out", str(out), *INLINE]) == 2
    assert "two-random: not empty and not a run" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["two-random"]


def test_run_trains_analyses_and_reports(capsys, tmp_path):
    out = tmp_path / "run"
    assert main(["run", "digits-demo", "--out", str(out), *SMALL, *INLINE]) == 0
    text = capsys.readouterr().out
    assert str(out / "report.html") in text.replace("\n", "")
    assert "recovered exactly" in text
    page = (out / "report.html").read_text()
    assert "digits-demo" in page
    assert main(["status", str(out)]) == 0
    assert "2 of 2" in capsys.readouterr().out
    assert main(["status", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["complete"] is True


def test_one_group_is_told_as_one(capsys):
    tell_training(TrainingReport(1, 0, 1, (), (), {}, 2.0))
    assert capsys.readouterr().out.startswith("trained 1 group, found 0 done, 2.0 s, ")
    tell_training(TrainingReport(2, 0, 2, (), (), {}, 2.0))
    told = capsys.readouterr().out
    assert told.startswith("trained 2 groups, ")
    assert told.endswith(", 2 models diverged\n")


def test_the_three_steps_one_by_one_end_where_run_does(capsys, tmp_path):
    assert main(["run", "digits-demo", "--out", str(tmp_path / "a"), *SMALL, *INLINE]) == 0
    assert main(["train", "digits-demo", "--out", str(tmp_path / "b"), *SMALL, *INLINE]) == 0
    assert main(["analyze", str(tmp_path / "b"), *INLINE]) == 0
    assert main(["report", str(tmp_path / "b")]) == 0
    names = [{str(p.relative_to(tmp_path / x)) for p in (tmp_path / x).rglob("*")} for x in "ab"]
    assert names[0] == names[1]
    assert sums(tmp_path / "a") == sums(tmp_path / "b")
    for table in ("assignments", "trajectories", "geometry", "linkage"):
        tables = [pq.read_table(tmp_path / x / "analysis/default" / f"{table}.parquet") for x in "ab"]
        assert contents_sha256(tables[0]) == contents_sha256(tables[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "digits-dmo", "--out", "OUT"], "no such recipe (did you mean digits-demo?)"),
        (["run", "digits-demo", "--out", "OUT", "--set", "zoo.training.epoch=3"], "unknown key (did you mean epochs?)"),
        (["run", "digits-demo", "--out", "OUT", "--set", "zoo.training.epochs=0"], "zoo.training.epochs: got 0"),
        (["run", "digits-demo", "--out", "OUT", "--set", "zoo.population.seeds=0"], "zoo.population.seeds: got 0"),
        (["run", "digits-demo", "--out", "OUT", "--set", "zoo.training.batch_size=5000"], "has 1,437 training images"),
        (
            ["run", "digits-demo", "--out", "OUT", "--set", "zoo.model={architecture: cnn-s}"],
            "images of at least 20×20",
        ),
        (["run", "mnist-a1", "--out", "OUT"], "use --data-dir or set ZOO_DATA_DIR"),
        (["run", "mnist-a1", "--out", "OUT", "--data-dir", "/nowhere"], "not found in /nowhere/mnist"),
        (["train", "digits-demo", "--out", "OUT", "--resume", "--overwrite"], "use one of them"),
        (["train", "digits-demo", "--out", "OUT", "--set", "resources.num_gpus=1"], "torch sees no GPU here"),
        (
            ["train", "digits-demo", "--out", "OUT", "--set", "zoo.training.epochs=1", "--data-dir"],
            "requires an argument",
        ),
        (["run", "digits-demo", "--out", ""], "expected a path or a URI, got an empty text"),
        (["train"], "Missing argument 'CONFIG'"),
        (["plan"], "no CONFIG is named: expected a recipe, a YAML file, or --all-published"),
        (["plan", "digits-demo", "--set", "zoo.dataset=digit"], "digit: no such dataset (did you mean digits?)"),
        (["train", "x" * 300 + ".yaml", "--out", "OUT"], "File name too long"),
        (["train", "digits-demo", "--out", "simplecache::memory://x"], "chained addresses"),
        (["analyze", "OUT"], "there is nothing; expected a run, a folder of Parquet files or one of them"),
        (["report", "OUT"], "has no spec.json; is this a run directory?"),
        (["status", "OUT"], "has no spec.json; is this a run directory?"),
        (["status", "nosuch://bucket/run"], "install its fsspec driver"),
        (["train", "digits-demo", "--out", "/proc/zoo/run"], "cannot be written"),
        (["train", "digits-demo", "--out", "/dev/null/run"], "cannot be"),
    ],
)
def test_a_mistake_gets_one_line_exit_code_2_and_nothing_written(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    out = tmp_path / "run"
    arguments = [str(out) if argument == "OUT" else argument for argument in arguments]
    inline = (
        INLINE if arguments[0] in ("run", "train", "analyze") and arguments[-1] not in ("--data-dir", "train") else []
    )
    assert main([*arguments, *inline]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""
    assert not out.exists()


@pytest.fixture
def bag(tmp_path, monkeypatch) -> Path:
    """The working directory, with plain files that are right and wrong, and places to write to that are."""
    monkeypatch.chdir(tmp_path)
    pq.write_table(pa.table({"weights": [[1.0, 2.0], [1.0, 2.5], [-3.0, 1.0]]}), "good.parquet")
    pq.write_table(pa.table({"weights": [["a"]]}), "text.parquet")
    pq.write_table(pa.table({"weights": [[1.0, 2.0], None]}), "null.parquet")
    pq.write_table(pa.table({"weights": pa.array([], pa.list_(pa.float32()))}), "empty.parquet")
    Path("broken.parquet").write_bytes(b"PAR1")
    Path("odd.json").write_text("{")
    Path("layout.json").write_text(Layout.of({"w": (3,)}).to_json())
    Path("full").mkdir()
    Path("full/diary.txt").write_text("mine")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good.parquet"], "good.parquet: holds Parquet files and is no run; --out DIR says where the analysis goes"),
        (["good.parquet", "RUN"], "several inputs, and files with --layout, need --out DIR"),
        (["RUN", "--layout", "layout.json"], "several inputs, and files with --layout, need --out DIR"),
        (["nowhere", "--out", "OUT"], "nowhere: there is nothing; expected a run, a folder"),
        (["good.parquet", "nowhere.parquet", "--out", "OUT"], "nowhere.parquet: there is nothing; expected a run"),
        (["full", "--out", "OUT"], "full: has no spec.json and no *.parquet"),
        (["good.parquet", "text.parquet", "--out", "OUT"], "text.parquet: column weights: is list<"),
        (["null.parquet", "--out", "OUT"], "null.parquet: row 1 has no weights, but null"),
        (["broken.parquet", "--out", "OUT"], "broken.parquet: damaged or not Parquet"),
        (["empty.parquet", "--out", "OUT"], "nothing to analyse: not one row"),
        (["good.parquet", "./good.parquet", "--out", "OUT"], "good.parquet is named twice; leave one of them out"),
        (["RUN", "RUN", "--out", "OUT"], "is named twice; leave one of them out"),
        (["RUN", "--out", "RUN"], "run: lies in the run"),
        (["RUN", "--out", "RUN/more"], "more: lies in the run"),
        (["RUN", "--out", "OUT", "--layout", "layout.json"], "--layout: describes plain Parquet files; a run says"),
        (
            ["good.parquet", "--out", "OUT", "--layout", "nowhere.json"],
            "--layout nowhere.json: cannot be read: No such",
        ),
        (["good.parquet", "--out", "OUT", "--layout", "odd.json"], "--layout odd.json: layout: not readable"),
        (["good.parquet", "--out", "OUT", "--layout", "layout.json"], "describes 3 weights, but the rows have 2"),
        (["good.parquet", "--out", "full"], "full: not empty and no place of analyses (holds diary.txt)"),
        (["good.parquet", "--out", "/proc/zoo"], "cannot be written"),
        (["good.parquet", "--out", "good.parquet"], "no place of analyses (holds good.parquet)"),
        (["good.parquet", "--out", "OUT", "--name", "a/b"], "--name a/b: expected letters"),
        (["good.parquet", "--out", ""], "expected a path or a URI, got an empty text"),
        ([], "Missing argument 'INPUT…'"),
    ],
)
def test_a_mistake_in_what_is_analysed_gets_one_line_and_nothing_is_written(arguments, message, capsys, bag, small_run):
    arguments = [argument.replace("RUN", str(small_run)).replace("OUT", "out") for argument in arguments]
    before = [sorted(root.rglob("*")) for root in (bag, small_run)]
    assert main(["analyze", *arguments, *(INLINE if arguments else [])]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.strip().splitlines()) == 1
    assert captured.out == ""
    assert [sorted(root.rglob("*")) for root in (bag, small_run)] == before


def test_anyones_bag_is_analysed_and_every_part_told(capsys, bag):
    pq.write_table(pa.table({"weights": [[1.0, 2.0, 3.0]]}), "longer.parquet")
    assert main(["analyze", "good.parquet", "longer.parquet", "--out", "out", "--name", "first", *INLINE]) == 0
    told = capsys.readouterr().out
    assert "d-2: 3 checkpoints of 2 weights" in told
    assert "d-3: 1 checkpoint of 3 weights" in told
    for part in ("d-2", "d-3"):
        assert f"report: out/analysis/first/{part}/report.html" in told
        assert Path(f"out/analysis/first/{part}/report.html").exists()
    assert pq.read_table("out/analysis/first/d-2/assignments.parquet")["file"].to_pylist() == ["good.parquet"] * 3


def test_all_mistakes_of_a_configuration_are_told_at_once(capsys, tmp_path):
    mistakes = ["--set", "zoo.training.epochs=0", "--set", "zoo.model.activation=tahn", "--set", "seed=1"]
    assert main(["run", "digits-demo", "--out", str(tmp_path / "x"), *mistakes]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 3


@pytest.mark.parametrize("variable", ["RAY_JOB_CONFIG_JSON_ENV_VAR", JOB])
def test_a_relative_place_is_refused_to_a_job(variable, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "{}")
    for place in ("run", "file://run", "local://run"):
        assert main(["run", "digits-demo", "--out", place, *SMALL, *INLINE]) == 2
        assert "a relative path, but a job works in a copy" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv(variable)
    assert main(["train", "digits-demo", "--out", "run", *SMALL, *INLINE]) == 0
    assert (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize(("ended_by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("executor", ["ray", "inline"])
def test_who_ends_a_run_is_told_the_command_that_goes_on(executor, ended_by, code, tmp_path):
    sizes = ["--set", "zoo.population.seeds=400", "--set", "zoo.population.group_size=4"]
    out = tmp_path / "run"
    words = ["train", "digits-demo", *sizes, "--out", str(out), "--executor", executor]
    words += ["--ray-address", "local"] if executor == "ray" else []
    command = [sys.executable, "-m", "zoo_pipeline.cli", *words, "--overwrite"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not list(out.glob("checkpoints/*.parquet")) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(ended_by)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == code, told
    line = f"zoo: interrupted; what is published stays. To go on: zoo {' '.join(words)} --resume"
    assert told.splitlines().count(line) == 1
    assert "Traceback" not in told


def test_who_ends_a_command_that_still_loads_gets_one_line(tmp_path):
    # A module of this name comes before the library: Ctrl-C arrives while it is imported.
    (tmp_path / "typer.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "zoo_pipeline", "plan", "digits-demo"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "zoo: interrupted; nothing was begun\n"


def test_an_address_at_which_nobody_listens_is_refused_at_once(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert main(["train", "digits-demo", "--out", str(tmp_path / "run"), *SMALL]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("zoo: --ray-address 127.0.0.1:1: nobody listens there")
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_full_disk_ends_the_run_with_one_line_and_no_half_shard(capsys, tmp_path, monkeypatch):
    import errno

    real, out = os.link, tmp_path / "run"

    def full(source, target):
        if "group-00001" in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    monkeypatch.setattr(os, "link", full)
    assert main(["train", "digits-demo", "--out", str(out), *SMALL, *INLINE]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("zoo: ")
    assert "group-00001.parquet: cannot be written: No space left on device" in last
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["group-00000.parquet"]
    assert not (out / "manifest.json").exists()
    monkeypatch.undo()
    assert main(["train", "digits-demo", "--out", str(out), *SMALL, *INLINE, "--resume"]) == 0


def test_a_failing_group_gives_exit_code_1_and_the_others_finish(capsys, tmp_path, fail_group_of):
    fail_group_of(0, MemoryError("no more"))
    out = tmp_path / "run"
    assert main(["run", "digits-demo", "--out", str(out), *SMALL, *INLINE]) == 1
    assert "group 0 failed: MemoryError: no more" in capsys.readouterr().err
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["group-00001.parquet"]


def test_a_killed_and_resumed_run_ends_with_the_contents_of_an_undisturbed_one(tmp_path):
    sizes = [
        "--set",
        "zoo.population.seeds=24",
        "--set",
        "zoo.population.group_size=2",
        "--set",
        "zoo.training.epochs=12",
    ]
    command = [
        sys.executable,
        "-m",
        "zoo_pipeline.cli",
        "train",
        "digits-demo",
        *sizes,
        "--ray-address",
        "local",
        "--out",
    ]
    disturbed, calm = tmp_path / "disturbed", tmp_path / "calm"
    process = subprocess.Popen([*command, str(disturbed)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(disturbed.glob("checkpoints/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 1 <= len(list(disturbed.glob("checkpoints/*.parquet"))) < 12, "killed in the middle"
    assert not (disturbed / "manifest.json").exists()
    subprocess.run([*command, str(disturbed), "--resume"], check=True, capture_output=True)
    assert main(["train", "digits-demo", *sizes, "--out", str(calm), *INLINE]) == 0
    assert len(sums(calm)) == 12
    assert sums(disturbed) == sums(calm)
    manifests = [json.loads((root / "manifest.json").read_text()) for root in (disturbed, calm)]
    assert manifests[0] == manifests[1]
