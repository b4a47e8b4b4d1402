"""Faults of what Ray's cluster launcher takes and a running job would not: package, token, images, start commands."""

import re
import tomllib
from typing import Any

from checkout import ENVIRONMENT, PINS, ROOT, WHEEL, project_names

TOKEN = "~/.ray/auth_token"


def launch_faults(config: dict[str, Any]) -> list[str]:
    """What is wrong with mounts, setup, environment and start, which all cluster files have in common."""
    return [*_mount_faults(config), *_setup_faults(config), *_environment_faults(config), *_start_faults(config)]


def _mount_faults(config: dict[str, Any]) -> list[str]:
    mounts = config["file_mounts"]
    found = []
    if mounts.get(TOKEN) != TOKEN:
        found.append(f"file_mounts: the token {TOKEN} is not among them")
    for remote, local in mounts.items():
        if not remote.startswith("~/"):
            found.append(f"file_mounts: {remote} is not in the home of the nodes' user")
        if not local.startswith("~") and local != "dist" and not (ROOT / local).is_file():
            found.append(f"file_mounts: {local} is not in the repository")
    return found


def _setup_faults(config: dict[str, Any]) -> list[str]:
    """Setup runs on every node; it must find its files there, bring all libraries, and leave the image's Ray alone."""
    mounts, commands = config["file_mounts"], config["setup_commands"]
    places = {local: remote for remote, local in mounts.items()}
    constrained = f"pip install -c {places.get('constraints.txt')} "
    libraries = {name for line in commands if line.startswith(constrained) for name in line.split()[4:]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project_names(project["dependencies"]) - {"ray"}
    found = [f"setup_commands: {name} is not installed" for name in sorted(needed - libraries)]
    found += [f"setup_commands: {name} is not needed" for name in sorted(libraries - needed)]
    if f"pip install s3fs=={PINS['fsspec']}" not in commands:
        found.append(f"setup_commands: s3fs=={PINS['fsspec']}, the release of fsspec, is not installed")
    if f"pip install --no-deps --force-reinstall {places.get('dist')}/{WHEEL}" not in commands:
        found.append(f"setup_commands: {WHEEL} is not installed from where dist is mounted ({places.get('dist')})")
    return found


def _environment_faults(config: dict[str, Any]) -> list[str]:
    options = config["docker"].get("run_options", [])
    given = dict(re.fullmatch(r"--env (\w+)=(.*)", each).groups() for each in options if each.startswith("--env "))
    return [
        f"docker: run_options set {name} to {given.get(name)}, not {value}"
        for name, value in ENVIRONMENT.items()
        if given.get(name) != value
    ]


def _start_faults(config: dict[str, Any]) -> list[str]:
    head, worker = (config[f"{role}_start_ray_commands"] for role in ("head", "worker"))
    found = []
    if [line for line in (*head, *worker) if not line.startswith("ray ")]:
        found.append("start: a command is not Ray's")
    for option in ("--head", "--port=6379", "--autoscaling-config=~/ray_bootstrap_config.yaml"):
        if option not in head[-1].split():
            found.append(f"head_start_ray_commands: no {option}")
    if "--dashboard-host=127.0.0.1" not in head[-1].split():
        found.append("head_start_ray_commands: the dashboard is not kept to the head itself")
    if "--address=$RAY_HEAD_IP:6379" not in worker[-1].split():
        found.append("worker_start_ray_commands: no --address=$RAY_HEAD_IP:6379")
    return found
