"""docs/deploy/onprem.yaml passes what `ray up` checks first, and what it leaves to the machines to refuse."""

import copy
import ipaddress
import re
from typing import Any

import pytest
import yaml
from checkout import DEPLOY, IMAGES, planted
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

PROVIDER_KEYS = {"type", "head_ip", "worker_ips"}


def faults(config: dict[str, Any]) -> list[str]:
    """What Ray's check lets pass, beside what it has in common with cluster.yaml (see launching.py)."""
    provider = config["provider"]
    found = [f"provider: unknown key {key}" for key in sorted(provider.keys() - PROVIDER_KEYS)]
    machines = [provider["head_ip"], *provider["worker_ips"]]
    for machine in machines:
        try:
            ipaddress.ip_address(machine)
        except ValueError:
            found.append(f"provider: {machine} is no IP address")
    if len(set(machines)) < len(machines):
        found.append("provider: a machine is named twice")
    if not config.get("min_workers") == config.get("max_workers") == len(provider["worker_ips"]):
        found.append("min_workers and max_workers are not the number of worker_ips")
    if config["docker"].get("image") != IMAGES["gpu"]:
        found.append(f"docker: image is not {IMAGES['gpu']}")
    if not {"--num-cpus=0", "--num-gpus=0"} <= {*config["head_start_ray_commands"][-1].split()}:
        found.append("head_start_ray_commands: the head would run tasks")
    if any(re.search("--num-[cg]pus", line) for line in config["worker_start_ray_commands"]):
        found.append("worker_start_ray_commands: the same number for machines that may differ")
    return found


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "onprem.yaml").read_text())
    return loaded


def test_ray_accepts_the_file(config: dict[str, Any]) -> None:
    prepared = prepare_config(config)
    validate_config(prepared)
    (only,) = prepared["available_node_types"].values()
    assert (only["min_workers"], only["max_workers"]) == (2, 2)


def test_nothing_is_left_for_the_machines_to_refuse(config: dict[str, Any]) -> None:
    assert faults(config) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("idle_timeout_minuts", 5, "idle_timeout_minuts"),
        ("auth/ssh_usr", "me", "ssh_usr"),
        ("idle_timeout_minutes", "10", "'10' is not of type 'number'"),
        ("docker/image", 5, "5 is not of type 'string'"),
    ],
)
def test_ray_refuses_a_planted_error(config: dict[str, Any], path: str, value: object, message: str) -> None:
    with pytest.raises((ValidationError, ValueError, TypeError), match=re.escape(message)):
        validate_config(prepare_config(planted(config, path, value)))


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("provider/worker_ip", ["10.0.0.13"], "provider: unknown key worker_ip"),
        ("provider/worker_ips/0", "10.0.0.256", "provider: 10.0.0.256 is no IP address"),
        ("provider/worker_ips/0", "10.0.0.10", "provider: a machine is named twice"),
        ("min_workers", 1, "min_workers and max_workers are not the number of worker_ips"),
        ("docker/image", "rayproject/ray:2.59.0-py311-gpu", f"docker: image is not {IMAGES['gpu']}"),
        ("head_start_ray_commands/1", "ray start --head", "head_start_ray_commands: the head would run tasks"),
        (
            "worker_start_ray_commands/1",
            "ray start --num-gpus=8 --address=$RAY_HEAD_IP:6379",
            "worker_start_ray_commands: the same number for machines that may differ",
        ),
    ],
)
def test_a_planted_error_that_ray_accepts_is_found(
    config: dict[str, Any], path: str, value: object, fault: str
) -> None:
    wrong = planted(config, path, value)
    validate_config(prepare_config(copy.deepcopy(wrong)))
    assert fault in faults(wrong)
