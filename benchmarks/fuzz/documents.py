"""Target: the JSON files of a run, changed or damaged, through the commands that read them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.damage import NAMES, json_bytes
from benchmarks.fuzz.datasets import NO_FILES, put
from benchmarks.fuzz.example import SETS, Example
from benchmarks.fuzz.shards import read_all
from benchmarks.fuzz.verdicts import ACCEPTED, DAMAGE, DOCUMENTED, UNEXPLAINED, Finding, asked, commanded
from zoo_pipeline.sources import layout_file

_COMMANDS = ("status", "status", "verify", "verify", "report", "train", "analyze")
_SCRIPT = "<script>alert(1)</script>"


@dataclass(frozen=True)
class Document:
    """A JSON file of a run with other content, and what is done with the run.

    Attributes:
        name: of the file.
        data: its bytes.
        instead: what lies under its name instead, one of `NO_FILES`; None for a file.
        command: which command looks at the run.
        missing: a shard that is removed, together with the manifest, so that training goes on; None for none.
    """

    name: str
    data: bytes
    instead: str | None
    command: str
    missing: str | None


@st.composite
def documents(draw: st.DrawFn, example: Example) -> Document:
    """Changed and damaged JSON files."""
    names = [name for name in example.names if name.endswith(".json")]
    name = draw(
        st.sampled_from([*names, "manifest.json", "manifest.json", "spec.json", "progress.json", "layout.json"])
    )
    tree: Any = example.document(name) if name in names else _PROGRESS if name == "progress.json" else example.layout
    command = draw(st.sampled_from(_COMMANDS))
    if name == "manifest.json" and draw(st.integers(0, 3)) == 0:
        tree["shards"][draw(st.integers(0, 1))]["shard"] = draw(st.sampled_from(NAMES))
    missing = draw(st.sampled_from(["checkpoints/group-00001.parquet", None])) if name != "manifest.json" else None
    instead = draw(st.sampled_from([None] * 14 + list(NO_FILES)))
    return Document(name, draw(json_bytes(tree)), instead, command, missing)


_PROGRESS = {
    "at": "2026-11-23T00:54:47+00:00",
    "started": "2026-11-23T00:54:47+00:00",
    "driver": "host 12",
    "running": [1],
    "failed": [],
    "model_epochs": {"done": 3, "total": 16, "per_s": 1.5},
    "expected_end": None,
}


def check_document(case: Document, example: Example, place: Path) -> str:
    """Run the command: what it says is lines, what it reads is true, and what it writes lies in the run."""
    run = example.copied(place / "run")
    put(run / case.name, case.data, case.instead)
    if case.name == "layout.json":
        return asked(lambda: layout_file(run / case.name)).verdict
    if case.missing:
        (run / case.missing).unlink()
        (run / "manifest.json").unlink()
    outside = place / "outside"
    outside.mkdir()
    read = read_all(run)
    if case.missing is None and case.name != "spec.json":
        for what in ("weights", "buffers", "checkpoints", "models"):
            if read[what].error is None and read[what].value != getattr(example, what):
                _check_left_out(case, what, example)
    done = commanded(*_arguments(case.command, run))
    if case.command == "report" and done.code == 0 and _SCRIPT in (run / "report.html").read_text():
        raise Finding(UNEXPLAINED, "the report shows a script unescaped")
    if case.command == "train" and done.code == 0:
        after = read_all(run)
        if after["weights"].error is not None or after["weights"].value != example.weights:
            raise Finding(DAMAGE, "a run was said to be trained and reads otherwise")
    whole = case.command == "verify" and done.code == 0 and (run / "manifest.json").exists()
    if whole and read["weights"].error is None and read["weights"].value != example.weights:
        raise Finding(DAMAGE, "verify takes a manifest of other files for the run's")
    if [*outside.iterdir()] or {path.name for path in place.iterdir()} != {"outside", "run"}:
        raise Finding(UNEXPLAINED, "something was written outside of the run")
    return DOCUMENTED if done.code else ACCEPTED


def _check_left_out(case: Document, what: str, example: Example) -> None:
    """A manifest of fewer shards is a run of fewer shards; other values are damage."""
    try:
        lines = json.loads(case.data)["shards"]
    except (ValueError, KeyError, TypeError):
        lines = None
    if case.name != "manifest.json" or (
        isinstance(lines, list) and len(lines) == len(example.document("manifest.json")["shards"])
    ):
        raise Finding(DAMAGE, f"other {what} than were written")


def _arguments(command: str, run: Path) -> list[str]:
    if command == "train":
        sets = [f"--set={override}" for override in SETS]
        return ["train", "digits-demo", "--out", str(run), "--resume", "--executor", "inline", *sets]
    if command == "analyze":
        return ["analyze", str(run), "--overwrite", "--executor", "inline"]
    return [command, str(run)]
