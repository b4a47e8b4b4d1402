"""A Ray cluster of one node and a Prometheus server, started as an operator would, on free ports of this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SCRAPE_EVERY_S = 2.0
RATE_WINDOW = "8s"  # Grafana's rule: four times as long
STARTED_WITHIN_S = 90.0
BIN = Path(sys.executable).parent
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_metrics_report_interval_ms": "3000",  # short runs make a picture, too; Ray's default is 10 s
}
_PORTS = ("port", "metrics-export-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
_CONFIGURATION = """\
global: {{scrape_interval: {every:g}s}}
scrape_configs:
  - job_name: ray
    file_sd_configs: [{{files: ["{targets}"]}}]
"""


@contextmanager
def ray_cluster() -> Iterator[tuple[str, Path]]:
    """A cluster for as long as the block runs: its address, and the file in which it tells Prometheus of its nodes."""
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    session = tempfile.mkdtemp(prefix="zoo", dir="/tmp")  # short: sockets lie in it
    command = [str(BIN / "ray"), "start", "--head", "--block", f"--temp-dir={session}"]
    command += [f"--{name}={port}" for name, port in ports.items()]
    command += [f"--dashboard-port={_free_ports(1)[0]}"]  # the dashboard writes the file
    targets = Path(session) / "prom_metrics_service_discovery.json"
    try:
        with _running(command, targets.exists):
            yield f"127.0.0.1:{ports['port']}", targets
    finally:
        shutil.rmtree(session, ignore_errors=True)


@contextmanager
def prometheus(targets: Path, folder: Path) -> Iterator[str]:
    """A Prometheus server for as long as the block runs; yields its address."""
    (port,) = _free_ports(1)
    configuration = folder / "prometheus.yml"
    configuration.write_text(_CONFIGURATION.format(every=SCRAPE_EVERY_S, targets=targets))
    command = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    address = f"http://127.0.0.1:{port}"
    with _running(command, lambda: _answers(f"{address}/-/ready")):
        yield address


def prometheus_version() -> str:
    """The first words of what the program says of itself."""
    told = subprocess.run(["prometheus", "--version"], capture_output=True, text=True, check=True)
    return " ".join((told.stdout + told.stderr).split()[:3]).rstrip(",")


@contextmanager
def _running(command: list[str], ready: Callable[[], bool]) -> Iterator[None]:
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} is not ready after {STARTED_WITHIN_S:g} s; is something in its way?")
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGTERM)  # `ray start --block` ends what it started
        process.wait(60)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports
