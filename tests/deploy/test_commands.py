"""The commands that the README, docs/deploy/ and the heads of its files show are ones that Ray and make understand."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from checkout import DEPLOY, ROOT, WHEEL
from ray.scripts.scripts import cli

TEXTS = (ROOT / "README.md", ROOT / "cluster.yaml", *sorted(path for path in DEPLOY.iterdir()))


def commands(text: str) -> list[str]:
    """Lines of shell blocks in Markdown, and of the comments that begin a file, that call ray or make."""
    whole = re.sub(r" \\\n#? *", " ", text)
    lines = [re.sub(r"^#? *(RAY_\w+=\w+ )?", "", line).split("  #")[0] for line in whole.splitlines()]
    return [line.strip() for line in lines if re.match(r"(ray|make) [a-z]", line)]


SHOWN = sorted({(str(path.relative_to(ROOT)), line) for path in TEXTS for line in commands(path.read_text())})
OF_RAY = sorted({line for _, line in SHOWN if line.startswith("ray ")})
STARTED = sorted(
    {
        line
        for path in (ROOT / "cluster.yaml", DEPLOY / "onprem.yaml")
        for part, lines in yaml.safe_load(path.read_text()).items()
        if part.endswith("_start_ray_commands")
        for line in lines
    }
)


def understood(line: str) -> dict[str, Any]:
    """The parameters that Ray's own parser finds in a line."""
    command: Any = cli
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    parameters: dict[str, Any] = command.make_context("ray", words).params
    return parameters


def test_the_texts_show_both_ways_in_for_every_cluster_file():
    for name in ("cluster.yaml", "docs/deploy/onprem.yaml"):
        assert f"ray up {name}" in OF_RAY
        assert f"ray down {name}" in OF_RAY
        assert any(line.startswith(f"ray submit {name} jobs/run.py ") for line in OF_RAY)
    submit = {name for name, line in SHOWN if line.startswith("ray job submit")}
    assert submit == {"README.md", "cluster.yaml", "docs/deploy/README.md"}


@pytest.mark.parametrize("line", OF_RAY)
def test_ray_understands_a_command_and_its_files_are_there(line):
    found = understood(line)
    named = [found.get("cluster_config_file"), found.get("script"), found.get("runtime_env")]
    assert all((ROOT / name).is_file() for name in named if name)
    words = found.get("script_args") or found.get("entrypoint") or ()
    if "--out" in words:
        assert words[words.index("--out") + 1].startswith(("/", "s3://"))


@pytest.mark.parametrize("line", STARTED)
def test_ray_understands_how_nodes_start_it(line):
    port = 8076 if "ray start" in line else None
    assert understood(line).get("object_manager_port") == port


def test_a_command_that_ray_does_not_have_is_noticed():
    with pytest.raises(KeyError, match="sumbit"):
        understood("ray sumbit cluster.yaml jobs/run.py")
    with pytest.raises(click.ClickException, match="--runtime-environment"):
        understood("ray job submit --runtime-environment jobs/runtime_env.yaml -- python jobs/run.py")


def test_the_targets_that_the_texts_make_are_there():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {shlex.split(line)[1] for _, line in SHOWN if line.startswith("make ")} - targets == set()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_a_text_names_no_other_wheel_than_that_of_this_version(path: Path):
    assert set(re.findall(r"zoo_pipeline-[^ /]+\.whl", path.read_text())) <= {WHEEL}


def test_the_page_links_to_files_that_are_there():
    page = (DEPLOY / "README.md").read_text()
    links = set(re.findall(r"\]\(([^)#:]+)\)", page))
    assert {path.name for path in DEPLOY.iterdir()} - {"README.md"} <= links
    assert [link for link in links if not (DEPLOY / link).is_file()] == []
