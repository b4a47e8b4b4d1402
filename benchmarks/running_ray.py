"""A Ray on this machine as users start one, `ray start --head`, of its own ports and folder."""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

WITH_DASHBOARD = (
    "port", "dashboard-port", "ray-client-server-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port",
)  # fmt: skip
STARTED_WITHIN_S = 90.0


@dataclass(frozen=True)
class RunningRay:
    """A Ray that has been started, and may not answer yet.

    Attributes:
        process: `ray start --block`, which ends with all that it started.
        environment: by which drivers on this machine find it.
        ports: by the names of Ray's options.
        log: what it says.
    """

    process: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    ports: Mapping[str, int]
    log: Path

    @property
    def address(self) -> str:
        """Of the dashboard."""
        return f"http://127.0.0.1:{self.ports['dashboard-port']}"

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until it is ready.

        Raises:
            RuntimeError: it has ended, or takes too long.
        """
        ends = time.monotonic() + STARTED_WITHIN_S
        while not ready():
            if time.monotonic() > ends or self.process.poll() is not None:
                raise RuntimeError(f"no Ray (exit code {self.process.poll()}): {self.log.read_text()[-2_000:]}")
            time.sleep(0.2)

    def answers(self) -> bool:
        """Whether the dashboard does."""
        return answer(self.address) is not None


@contextmanager
def running_ray(
    environment: Mapping[str, str],
    ports: Mapping[str, int],
    *options: str,
    python: Path = Path(sys.executable),
) -> Iterator[RunningRay]:
    """Start a Ray with two CPUs, for as long as the block runs.

    Args:
        environment: of the Ray and its drivers.
        ports: by the names of Ray's options; see `free_ports`.
        options: further ones of `ray start`.
        python: that has Ray, and whose packages its workers have.
    """
    folder = tempfile.mkdtemp(prefix="zoo", dir="/tmp")  # short: sockets lie in it
    own = {**environment, "RAY_TMPDIR": folder}
    command = [str(python), "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2", *options]
    command += [f"--{name}={port}" for name, port in ports.items()]
    log = Path(folder, "start.log")
    with log.open("w") as output:
        process = subprocess.Popen(command, env=own, cwd=folder, stdout=output, stderr=output)
    try:
        yield RunningRay(process, own, ports, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def free_ports(names: Sequence[str] = WITH_DASHBOARD) -> dict[str, int]:
    """A port for each name, that nobody listens at."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(names, ports, strict=True))


def answer(url: str) -> str | None:
    """What is said at an address; None where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as said:
            return str(said.read().decode())
    except OSError:
        return None
