"""The part that cluster.yaml and docs/deploy/onprem.yaml have in common: each rule bites where an error is planted."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import DEPLOY, ENVIRONMENT, PINS, ROOT, WHEEL, planted
from launching import launch_faults
from ray.autoscaler._private.util import prepare_config, validate_config

FILES = (ROOT / "cluster.yaml", DEPLOY / "onprem.yaml")


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def config(request) -> dict[str, Any]:
    path: Path = request.param
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def test_nothing_is_wrong_with_the_files(config: dict[str, Any]) -> None:
    assert launch_faults(config) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("file_mounts", {"~/dist": "dist"}, "file_mounts: the token ~/.ray/auth_token is not among them"),
        (
            ("file_mounts", "~/constraints.txt"),
            "constraint.txt",
            "file_mounts: constraint.txt is not in the repository",
        ),
        ("file_mounts", {"/root/dist": "dist"}, "file_mounts: /root/dist is not in the home of the nodes' user"),
        (
            "file_mounts",
            {"~/wheels": "dist"},
            f"setup_commands: {WHEEL} is not installed from where dist is mounted (~/wheels)",
        ),
        (
            "setup_commands/2",
            "pip install --no-deps --force-reinstall ~/dist/zoo_pipeline-0.0.1-py3-none-any.whl",
            f"setup_commands: {WHEEL} is not installed from where dist is mounted (~/dist)",
        ),
        (
            "setup_commands/2",  # would bring the newest Ray that fits, if the image's does not
            f"pip install --force-reinstall ~/dist/{WHEEL}",
            f"setup_commands: {WHEEL} is not installed from where dist is mounted (~/dist)",
        ),
        ("setup_commands/0", "pip install -c ~/constraints.txt fsspec", "setup_commands: torch is not installed"),
        ("setup_commands/0", "pip install torch", "setup_commands: torch is not installed"),
        ("setup_commands/0", "pip install -c ~/constraints.txt ray", "setup_commands: ray is not needed"),
        (
            "setup_commands/1",
            "pip install s3fs",
            f"setup_commands: s3fs=={PINS['fsspec']}, the release of fsspec, is not installed",
        ),
        (
            "docker/run_options",
            ["--env RAY_task_oom_retries=3"],
            "docker: run_options set RAY_AUTH_MODE to None, not token",
        ),
        (
            "docker/run_options",
            ["--env RAY_AUTH_MODE=token", "--env RAY_task_oom_retries=-1"],
            "docker: run_options set RAY_task_oom_retries to -1, not 3",
        ),
        (
            "head_start_ray_commands/1",
            "ray start --head --port=6379 --dashboard-host=0.0.0.0",
            "head_start_ray_commands: the dashboard is not kept to the head itself",
        ),
        (
            "head_start_ray_commands/1",
            "ray start --head --port=6379",
            "head_start_ray_commands: no --autoscaling-config=~/ray_bootstrap_config.yaml",
        ),
        ("head_start_ray_commands/0", "sudo reboot", "start: a command is not Ray's"),
        (
            "worker_start_ray_commands/1",
            "ray start --address=$RAY_HEAD_IP:6380",
            "worker_start_ray_commands: no --address=$RAY_HEAD_IP:6379",
        ),
    ],
)
def test_a_planted_error_that_ray_accepts_is_found(
    config: dict[str, Any], path: str | tuple[str, ...], value: object, fault: str
) -> None:
    wrong = planted(config, path, value)
    validate_config(prepare_config(copy.deepcopy(wrong)))
    assert fault in launch_faults(wrong)


def test_both_files_set_up_their_nodes_in_the_same_way() -> None:
    cloud, onprem = (yaml.safe_load(path.read_text()) for path in FILES)
    for part in ("file_mounts", "setup_commands", "worker_start_ray_commands"):
        assert cloud[part] == onprem[part]
    assert {f"--env {name}={value}" for name, value in ENVIRONMENT.items()} <= {*cloud["docker"]["run_options"]}
