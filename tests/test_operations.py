"""docs/operations.md tells the truth: commands run, output is as shown, messages are those of the code."""

import errno
import os
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.conftest import SMALL
from tests.test_readme import blocks
from zoo_pipeline.cli import main
from zoo_pipeline.runtime.progress import GroupNews, Tally
from zoo_pipeline.store.pulse import beat
from zoo_pipeline.store.rundir import RunDirectory

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text()
COMMANDS = [line for block in blocks(PAGE, "bash") for line in block.splitlines()]
PLANS = [line for line in COMMANDS if line.startswith("zoo plan ")]
ON_A_RUN = [line for line in COMMANDS if line.startswith("zoo ") and line not in PLANS and "--track" not in line]
ELSEWHERE = ("ray ", "pip ", "export ", "grep ")  # and tracking, which needs a server: tests/runtime/test_tracking.py
NOT_OURS = {
    os.strerror(errno.ENOSPC),
    "Version mismatch",
    "No available node types can fulfill resource request",
    "Found multiple active Ray instances",
}


def test_every_command_of_the_page_is_tested_somewhere():
    others = [line for line in COMMANDS if line not in PLANS + ON_A_RUN and not line.startswith(ELSEWHERE)]
    assert [line for line in others if "--track mlflow" not in line] == []
    assert (len(PLANS), len(ON_A_RUN)) == (3, 6)


def test_the_commands_on_a_run_work_in_the_order_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in ON_A_RUN:
        words = shlex.split(line)[1:]
        if words[0] == "train":  # a small one of the same name
            words += ["--executor", "inline", *(word for change in SMALL for word in ("--set", change))]
        elif "--repair" in words:
            (tmp_path / "runs/watched/checkpoints/group-00001.parquet").write_bytes(b"damaged")
            words += ["--executor", "inline", "--set", SMALL[-1]]
        assert main(words) == 0, (line, capsys.readouterr().err)
    assert '"group": 1' in (tmp_path / "watched.jsonl").read_text()
    assert "groups that were damaged or lost: 1\n" in capsys.readouterr().out


@pytest.mark.parametrize("line", PLANS)
def test_a_plan_of_the_page_works(line, capsys):
    assert main(shlex.split(line)[1:]) == 0
    printed = [" ".join(text.split()) for text in capsys.readouterr().out.splitlines()]
    if line == PLANS[0]:
        shown = [" ".join(text.split()) for text in blocks(PAGE, "text")[2].splitlines()]
        assert shown[0].startswith("on ")
        assert printed[-len(shown) :] == shown


def test_the_arithmetic_of_the_page_is_right():
    forward = 2 * (784 * 10 + 10 * 10)
    operations = forward * (3 * 8_000 + 10_000)
    rate = 4e9 / operations
    group_s = 15 * 50 / rate
    waves = int(3_600 // group_s)
    groups = -(-10_000 // 15)
    cpus = -(-groups // waves)
    minutes = -(-groups // cpus) * group_s / 60
    text = " ".join(PAGE.split("Step by step:")[1].split())
    for figure in (
        f"{forward:,} operations",
        f"{forward:,} × (3 × 8,000 + 10,000) = {operations:,}",
        f"= {rate:.2f} model-epochs/s",
        f"= {group_s:.1f} s on the one CPU",
        f"= {waves} groups fit",
        f"10,000 / 15 = {groups}",
        f"{groups} / {waves} = {cpus} tasks",
        f"{-(-groups // cpus)} (rounded up)",
        f"{minutes:.1f} min",
        f"{10_000 * 51:,} checkpoints × (4 × 7,960 + 32) bytes",
    ):
        assert figure in text, figure
    shown = {label: rest for label, _, rest in map(cut, blocks(PAGE, "text")[2].splitlines())}
    assert shown["training"] == f"{minutes:.2f} min"
    assert shown["cost"] == f"{cpus * minutes / 60 * 0.04:.2f} at 0.04 per CPU-hour"


def cut(line: str) -> tuple[str, str, str]:
    return re.sub(r" {2,}", "\t", line.strip()).partition("\t")


def test_a_status_shows_what_the_page_shows(train_small, capsys):
    out = train_small()
    (out / "manifest.json").unlink()
    for number in (1, 2):
        (out / "checkpoints" / f"group-0000{number}.parquet").unlink()
    tally = Tally({1: 2, 2: 2}, 3)
    for group in (1, 2):
        tally.hear(GroupNews(group, 1, "here"))
    said = {"started": datetime.now(UTC).isoformat(), "driver": "head:8032", "running": tally.running(), "failed": []}
    said |= {"model_epochs": {"done": tally.done, "total": tally.total, "per_s": 1.0}}
    beat(RunDirectory(str(out)), {**said, "expected_end": "2026-11-27T17:07:08+00:00"})
    assert main(["status", str(out)]) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    lines = lines[next(at for at, line in enumerate(lines) if line.startswith("complete")) :]  # a long path is broken
    labels = [cut(line)[0] for line in lines if line[0] != " "]
    shown_title, *shown = blocks(PAGE, "text")[1].splitlines()
    assert labels == [cut(line)[0] for line in shown]
    assert title.split(" in ")[0] == shown_title.split(" in ")[0]


def test_the_progress_line_is_as_the_page_shows_it():
    tally = Tally({0: 16}, 4, clock=iter([0.0, 30.0, 30.0, 30.0]).__next__)
    for epoch in (0, 2):
        tally.hear(GroupNews(0, epoch, "here"))

    def without_numbers(line: str) -> str:
        return re.sub(r"[\d.,:]*\d", "N", line)

    shown = without_numbers(blocks(PAGE, "text")[0].strip()).split(", until")[0]
    assert without_numbers(f"training: {tally.line()}").split(", until")[0] == shown


def test_the_messages_of_the_page_are_those_of_the_code():
    code = "".join(path.read_text() for path in sorted((ROOT / "zoo_pipeline").rglob("*.py")))
    code = re.sub(r'"\s*\n\s*f?"', "", code)  # texts over several lines
    table = PAGE.split("## What goes wrong")[1].split("## ")[0]
    seen = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| ")][2:]
    messages = [text for cell in seen for text in re.findall(r"`([^`]+)`", cell) if not text.startswith("--")]
    assert len(messages) > 20
    ours = [text for text in messages if text not in NOT_OURS and text != "RAY_ADDRESS"]
    patterns = {text: re.sub(r"\d+", r"\\{[^{}]*\\}", re.escape(text.removesuffix(": …"))) for text in ours}
    patterns["2 models diverged"] = "diverged"
    missing = [text for text, pattern in patterns.items() if not re.search(pattern, code)]
    assert [text for text in missing if not text.startswith("resources.")] == []


def test_the_files_that_the_page_links_are_there():
    links = re.findall(r"\]\(([^)#]+)", PAGE)
    beside = {"deploy/README.md", "metrics.md"}
    assert [link for link in links if link not in beside and not (ROOT / "docs" / link).exists()] == []
