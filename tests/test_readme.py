"""README.md and docs/format.md tell the truth: commands and snippets run, tables and examples are complete."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.cli import main
from zoo_pipeline.config import Resources
from zoo_pipeline.data import load_dataset
from zoo_pipeline.errors import StoreError
from zoo_pipeline.models import Layout
from zoo_pipeline.plan import plan
from zoo_pipeline.recipes import load_config, recipe_names
from zoo_pipeline.runtime.analysis import analyze_run
from zoo_pipeline.runtime.engine_choice import choose_engine, engine_of
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.store.bag import KEYS
from zoo_pipeline.store.columns import CHECKPOINT_COLUMNS, MODEL_COLUMNS
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.plain import TRUTH as TRUTH_COLUMNS
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.schema import buffers_schema
from zoo_pipeline.store.states import Origin, TrainingState, publish_state
from zoo_pipeline.store.survey import survey
from zoo_pipeline.workflow import Options, analyze_into, run
from zoo_pipeline.zoo import Zoo

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FORMAT = (ROOT / "docs" / "format.md").read_text()
BIN = Path(sys.executable).parent
TRUTH = ("run", "model_id", "purity", "exact", "order_exact")
UNKNOWN_TRUTH = [("trajectories.parquet", column) for column in TRUTH]  # null in others' bags only
DEMO = "zoo run digits-demo --out runs/digits-demo --overwrite"
FOUND = "zoo analyze runs/digits-demo/checkpoints --out runs/found --executor inline"


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    """The text below one heading of docs/format.md, up to the next of its kind or above."""
    level = FORMAT.split(f"# {title}\n")[0].rsplit("\n", 1)[-1].count("#") + 1
    return re.split(rf"^#{{1,{level}}} ", FORMAT.split(f"\n{'#' * level} {title}\n")[1], flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows whose first cell is a name in backticks."""
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in cells]


def named(text: str) -> list[str]:
    return [row[0].strip("`") for row in rows(text)]


COMMANDS = [line for block in blocks(README, "bash") for line in block.splitlines()]
TOO_LONG = [line for line in COMMANDS if line.startswith("zoo run mnist-")]
CHEAP = [line for line in COMMANDS if line.startswith("zoo ") and line not in [DEMO, FOUND, *TOO_LONG]]
# Tried in tests/jobs and tests/deploy.
ELSEWHERE = [line for line in COMMANDS if line.startswith(("make ", "ray ", "export ", "python jobs/"))]


def shell(line: str, place: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", line], cwd=place, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A working directory in which the README's commands that the others build on have been run as written."""
    place = tmp_path_factory.mktemp("readme")
    for line, output in ((DEMO, "output.txt"), (FOUND, "found.txt")):
        done = shell(line, place)
        assert done.returncode == 0, done.stderr
        (place / output).write_text(done.stdout)
    return place


def test_every_command_of_the_readme_is_tested_somewhere():
    assert {DEMO, FOUND} <= {*COMMANDS}
    assert sorted([DEMO, FOUND, *TOO_LONG, *CHEAP, *ELSEWHERE]) == sorted(COMMANDS)
    assert len(CHEAP) >= 4


def test_the_demo_prints_what_the_readme_shows(place):
    figures = {
        r"(?m)^(model-epochs/s|seconds)( +[\d.,]+){3}$": r"\1 of least, median, most",
        r"[\d.]+ s\b": "TIME",
        r"[\d.,]+ model-epochs/s": "RATE",
        r"report: \S+/runs": "report: PLACE/runs",
        r"engine: \d+ models? at once, \d+ threads? \(measured\)": "ENGINE",
    }

    def lines(text: str) -> list[str]:
        for pattern, word in figures.items():
            text = re.sub(pattern, word, text)
        return [" ".join(line.split()) for line in text.splitlines()]

    shown, printed = lines(blocks(README, "text")[0]), lines((place / "output.txt").read_text())
    margins = [next(line for line in side if line.startswith("margin")) for side in (shown, printed)]
    assert [line for line in shown if line != margins[0]] == [line for line in printed if line != margins[1]]
    margin, found = (float(line.split()[1]) for line in margins)
    assert found == pytest.approx(margin, rel=0.05)  # the last digits depend on the processor


def test_make_demo_runs_the_readmes_command():
    recipe = re.search(r"^demo:.*\n\t\$\(BIN\)/(.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert recipe is not None
    assert recipe[1] == DEMO


@pytest.mark.parametrize(
    ("title", "columns"), [("checkpoints/group-NNNNN.parquet", CHECKPOINT_COLUMNS), ("models.parquet", MODEL_COLUMNS)]
)
def test_what_cards_say_of_columns_is_what_the_page_says(title, columns):
    told = {row[0].strip("`"): (row[3], row[4].split(", see [")[0]) for row in rows(section(title)) if len(row) == 5}
    for name, column in columns.items():
        assert (column.unit, column.meaning.split("; the same model")[0]) == told[name], name


@pytest.mark.parametrize("line", CHEAP)
def test_a_command_of_the_readme_runs_as_written(line, place):
    done = shell(line, place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("line", TOO_LONG)
def test_a_command_that_takes_too_long_can_be_planned(line, capsys, monkeypatch):
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    words = shlex.split(line)[2:]
    config, settings = words[0], [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    assert main(["plan", config, *(word for setting in settings for word in ("--set", setting)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == config
    assert main([*shlex.split(line)[1:], "--executor", "inline", "--data-dir", "/nowhere"]) == 2
    assert "not found in /nowhere/mnist" in capsys.readouterr().err


def test_files_that_the_readme_names_are_there():
    words = {word for line in ELSEWHERE for word in line.split() if word.endswith((".yaml", ".py"))}
    assert words == {"cluster.yaml", "jobs/runtime_env.yaml", "jobs/run.py", "jobs/submit.py"}
    links = set(re.findall(r"\]\(([^)#:]+)\)", README))
    assert {"docs/format.md", "docs/images/report.png", "LICENSE"} <= links
    assert [name for name in words | links if not (ROOT / name).is_file()] == []
    assert sorted(named(README.split("| recipe |")[1].split("\n\n")[0])) == recipe_names()


@pytest.mark.parametrize("snippet", blocks(README, "python"), ids=lambda snippet: snippet.split()[1])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_a_snippet_of_the_readme_runs_and_prints_what_its_comments_say(snippet, place, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    monkeypatch.chdir(place)
    exec(compile(snippet, "README.md", "exec"), {"__name__": "snippet"})
    printed = capsys.readouterr().out.splitlines()
    assert printed
    promised = re.findall(r"^print\(.*\)  # (.+)$", snippet, flags=re.MULTILINE)
    assert [line for line in promised if line not in printed] == []


def test_the_readme_draws_the_run_directory_as_it_is(place):
    tree = README.split("## The run directory")[1].split("```")[1]
    drawn = set(re.findall(r"[─ ] ([\w.-]+(?:\.\w+))  ", tree)) | {"report.html"}
    found = {path.name for path in (place / "runs" / "digits-demo").rglob("*") if path.is_file()}
    assert {re.sub(r"group-\d+", "group-00000", name) for name in found} == drawn


@pytest.fixture(scope="module")
def odd_runs(tmp_path_factory) -> list[Path]:
    """A run whose shard says that model 1 diverged, and one whose trajectories are single checkpoints."""
    out, single = tmp_path_factory.mktemp("diverged") / "run", tmp_path_factory.mktemp("single") / "run"
    once = ("zoo.training.epochs=1", "zoo.training.save_initial=false", "zoo.population.seeds=2")
    run(Options("digits-demo", str(single), once, executor="inline"))
    sizes = ("zoo.training.epochs=3", "zoo.population.seeds=4", "zoo.population.group_size=4")
    run(Options("digits-demo", str(out), sizes, executor="inline"))
    shard = out / "checkpoints" / "group-00000.parquet"
    table = pq.read_table(shard)
    footer = {**json.loads(table.schema.metadata[b"zoo"]), "diverged": [1]}
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"zoo": json.dumps(footer)}), shard)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["shards"][0] |= {"bytes": shard.stat().st_size, "sha256": hashlib.sha256(shard.read_bytes()).hexdigest()}
    (out / "manifest.json").write_text(json.dumps(manifest))
    analyze_run(InlineExecutor(Resources()), str(out), "default")
    return [out, single]


@pytest.mark.parametrize(
    ("title", "path"),
    [
        ("checkpoints/group-NNNNN.parquet", "checkpoints/group-00000.parquet"),
        ("models.parquet", "models.parquet"),
        *((f"{table}.parquet", f"analysis/default/{table}.parquet") for table in ("assignments", "trajectories")),
        *((f"{table}.parquet", f"analysis/default/{table}.parquet") for table in ("geometry", "linkage")),
    ],
)
def test_every_column_is_documented_with_its_type_and_nulls(title, path, small_run, odd_runs):
    schema = pq.read_schema(small_run / path)
    columns = [row for row in rows(section(title)) if len(row) >= 4]
    documented = [(row[0].strip("`"), row[1]) for row in columns]
    types = [
        (field.name, str(field.type).replace("[1210]", "[d]").replace(" not null>", " not null>")) for field in schema
    ]
    assert documented == types
    tables = [pq.read_table(root / path) for root in (small_run, *odd_runs)]
    for name, _, null, *_ in columns:
        field = schema.field(name.strip("`"))
        nulls = sum(table[field.name].null_count for table in tables)
        if not path.startswith("analysis"):
            assert null == ("yes" if field.nullable else "no"), name
            assert field.nullable or nulls == 0, name
        elif (title, field.name) not in UNKNOWN_TRUTH:
            assert null == ("yes" if nulls else "no"), name


def test_the_analysis_of_other_inputs_is_documented(small_run, tmp_path):
    pq.write_table(pq.read_table(small_run / "checkpoints/group-00000.parquet"), tmp_path / "mine.parquet")
    out, inputs = tmp_path / "out", [str(small_run), str(tmp_path / "mine.parquet")]
    analyze_into(str(out), inputs, executor="inline")
    text = section("Analyses of other inputs")
    read, written = text.split("**The results.**")
    assert named(read) == ["weights", *TRUTH_COLUMNS]
    keys = [row for row in rows(written) if len(row) == 4]
    assert [(name.strip("`"), kind) for name, kind, *_ in keys] == [(field.name, str(field.type)) for field in KEYS]
    found = pq.read_table(out / "analysis/default/d-1210/assignments.parquet")
    assert found.schema.names[: len(KEYS)] == KEYS.names
    assert [str(found.schema.field(field.name).type) for field in KEYS] == [str(field.type) for field in KEYS]
    assert [name.strip("`") for name, _, null, _ in keys if null == "no"] == ["run"]
    assert found["run"].null_count == 0
    example = json.loads(blocks(text, "json")[0])
    summary = json.loads((out / "analysis/default/summary.json").read_text())
    assert [row[0].strip("`") for row in rows(written) if len(row) == 2] == list(summary) == list(example)
    assert example["parts"]["d-1210"].keys() == summary["parts"]["d-1210"].keys()
    assert {path.name for path in (out / "analysis/default").iterdir()} == {"summary.json", "d-1210"}
    for name in ("assignments", "trajectories", "geometry", "linkage", "summary.json", "report.html"):
        assert name in text
        assert list((out / "analysis/default/d-1210").glob(f"{name}*"))


def test_every_key_of_the_json_files_is_documented_and_in_its_example(small_run):
    for title, path in [
        ("spec.json", "spec.json"),
        ("engine.json", "engine.json"),
        ("manifest.json", "manifest.json"),
        ("summary.json", "analysis/default/summary.json"),
    ]:
        found = json.loads((small_run / path).read_text())
        if title == "engine.json":  # the small run's says all itself, so nothing was measured
            digits = load_dataset("digits")
            made = plan(load_config("digits-demo"), digits.facts)
            measured = choose_engine(made, digits, InlineExecutor(Resources()))
            assert list(measured) == list(found)
            found = measured
        text = section(title)
        assert named(text) == list(found), title
        example = json.loads(blocks(text, "json")[0])
        assert shape_of(example) == shape_of(found), title
        for key in (key for value in found.values() if isinstance(value, dict) for key in value):
            assert f"`{key}`" in text or title == "spec.json", f"{title}: {key}"


def shape_of(value):
    """Keys at every level, and of lists the first element."""
    if isinstance(value, dict):
        return {key: shape_of(inner) for key, inner in value.items()}
    return [shape_of(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def test_the_footer_is_documented_by_its_example(small_run):
    metadata = pq.read_schema(small_run / "checkpoints" / "group-00000.parquet").metadata
    text = section("checkpoints/group-NNNNN.parquet")
    footer, layout = (json.loads(block) for block in blocks(text, "json"))
    assert list(footer) == list(json.loads(metadata[b"zoo"]))
    assert set(footer) <= set(named(text))
    assert layout == json.loads(metadata[b"zoo.layout"])


def test_the_columns_of_buffers_are_documented():
    schema = buffers_schema(Layout.of({"norm.running_mean": (3,)}))
    documented = [(row[0].strip("`"), row[1].replace("[b]", "[3]"), row[2]) for row in rows(section("buffers/"))]
    assert documented == [(field.name, str(field.type), "no") for field in schema]
    assert not any(field.nullable for field in schema)


def test_the_file_of_a_training_state_is_as_documented(tmp_path):
    chosen = {"threads": 1, "stack": 2, "capture": False, "calibration": []}
    origin = Origin(group=42, spec_hash="abc", engine=engine_of(chosen), range_first=10, start_state="")
    arrays = {"a": np.arange(3, dtype=np.float32), "b": np.arange(2)}
    sha256 = publish_state(Files(str(tmp_path)), TrainingState(origin, 17, arrays, {}))
    data = (tmp_path / "states" / f"group-00042-epoch-00017-{sha256[:12]}.state").read_bytes()
    assert hashlib.sha256(data).hexdigest() == sha256
    line, rest = data.split(b"\n", 1)
    assert f"`{line.decode()}`" in section("states/")
    length = int.from_bytes(rest[:8], "little")
    header = json.loads(rest[8 : 8 + length])
    assert set(named(section("states/"))) == set(header)
    engine = next(meaning for key, meaning in rows(section("states/")) if key == "`engine`")
    has, has_not = engine.removeprefix("what `engine.json` says").split("without")
    assert re.findall("`(.+?)`", has) == list(origin.engine)
    assert sorted(header["engine"]) == sorted(origin.engine)
    assert re.findall("`(.+?)`", has_not) == [*(chosen.keys() - header["engine"].keys())]
    assert header["state"] == [["a", "<f4", [3]], ["b", "<i8", [2]]]
    assert rest[8 + length :] == arrays["a"].tobytes() + arrays["b"].tobytes()


def test_hashes_are_what_the_page_says(small_run, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    shutil.copytree(small_run, tmp_path / "runs" / "digits-demo")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(blocks(section("What is hashed"), "python")[0], "format.md", "exec"), names)
    assert names["model"]["model_id"] == 5  # the snippet has checked the keys of all models
    assert Zoo(str(small_run)).key == names["document"]["spec_hash"][:12]


def test_seals_are_what_the_page_says(small_run):
    names: dict = {}
    exec(compile(blocks(section("Seals"), "python")[0], "format.md", "exec"), names)
    tables = sorted(small_run.rglob("*.parquet"))
    assert len(tables) > 3
    for table in tables:
        data = bytearray(table.read_bytes())
        assert names["is_intact"](data), table
        data[len(data) // 3] ^= 4
        assert not names["is_intact"](data), table


def test_a_run_written_by_hand_is_read_surveyed_and_analysed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    writer, reader = blocks(section("Writing a run by hand"), "python")
    assert "zoo_pipeline" not in writer
    names: dict = {}
    exec(compile(writer, "format.md", "exec"), names)
    exec(compile(reader, "format.md", "exec"), {})
    zoo = Zoo("runs/by-hand")
    assert (zoo.weights() == names["weights"].reshape(100, 128)).all()
    assert zoo.layout.tensors[0].shape == (8, 16)
    assert zoo.models["status"].to_pylist() == ["ok"] * 5
    found = survey(RunDirectory("runs/by-hand"))
    assert (found["complete"], found["done"], found["damaged"]) == (True, 1, {})
    assert main(["status", "runs/by-hand"]) == 0
    assert main(["analyze", "runs/by-hand", "--executor", "inline"]) == 0
    summary = json.loads(Path("runs/by-hand/analysis/default/summary.json").read_text())
    assert (summary["trajectories_found"], summary["ari"], summary["kendall_tau_min"]) == (5, 1.0, 1.0)
    assert main(["report", "runs/by-hand"]) == 0
    assert "5 of 5" in Path("runs/by-hand/report.html").read_text()
    with pytest.raises(StoreError, match=r"spec\.json lacks spec, image_shape, classes, so what network this is"):
        zoo.load_model(0, 0)
