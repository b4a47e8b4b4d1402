"""jobs/runtime_env.yaml passes Ray's own check, and ours of what Ray does not check."""

from typing import Any

import pytest
import yaml
from checkout import ROOT, planted
from ray.runtime_env import RuntimeEnv
from runtime_environment import at_the_top, runtime_faults


@pytest.fixture
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / "runtime_env.yaml").read_text())
    return loaded


def test_ray_accepts_the_file_and_nothing_is_wrong_with_it(document: dict[str, Any]) -> None:
    assert dict(RuntimeEnv(**document)) == document
    assert runtime_faults(document) == []


def test_what_does_not_travel_is_what_no_job_reads(document: dict[str, Any]) -> None:
    assert at_the_top() & {*document["excludes"]} >= {"/docs/", "/tests/", "/benchmarks/"}


@pytest.mark.parametrize(
    ("key", "value"), [("env_vars", ["A=1"]), ("env_vars", {"PYTHONUNBUFFERED": 1}), ("excludes", "/runs/")]
)
def test_ray_refuses_a_planted_error(document: dict[str, Any], key: str, value: object) -> None:
    with pytest.raises((TypeError, ValueError), match=key):
        RuntimeEnv(**planted(document, key, value))


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("exclude", ["/runs/"], "runtime_env: unknown key exclude"),
        ("env_var", {"A": "1"}, "runtime_env: unknown key env_var"),
        ("pip", ["torch"], "runtime_env: pip belongs to the nodes' setup"),
        ("env_vars", {"PYTHON UNBUFFERED": "1"}, "runtime_env: PYTHON UNBUFFERED is no name of a variable"),
        ("excludes", ["runs"], "runtime_env: runs is not one folder at the top of the repository"),
        ("excludes", ["/jobs/"], "runtime_env: without /jobs/ nothing runs"),
    ],
)
def test_a_planted_error_that_ray_accepts_is_found(
    document: dict[str, Any], key: str, value: object, fault: str
) -> None:
    wrong = planted(document, key, value)
    RuntimeEnv(**wrong)
    assert fault in runtime_faults(wrong)
