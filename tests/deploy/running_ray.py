"""A Ray with a dashboard, of its own ports and folder, started with a python and an environment that are given."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PORTS = ("port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")


@contextmanager
def running_ray(python: Path, environment: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Its dashboard's address, and the environment with the folder by which drivers on this machine find it."""
    folder = tempfile.mkdtemp(prefix="zoo", dir="/tmp")  # short: sockets lie in it
    environment = {**environment, "RAY_TMPDIR": folder}
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    command = [python, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2"]
    command += [f"--{name}={port}" for name, port in ports.items()]
    log = Path(folder, "start.log")
    with log.open("w") as output:
        cluster = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=output)
    address = f"http://127.0.0.1:{ports['dashboard-port']}"
    try:
        _wait_for(address, cluster, log)
        yield address, environment
    finally:
        cluster.send_signal(signal.SIGTERM)  # `ray start --block` ends what it started
        cluster.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait_for(address: str, cluster: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and cluster.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"no Ray at {address} (exit code {cluster.poll()}): {log.read_text()}")
