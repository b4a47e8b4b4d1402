"""S3 servers on this machine, from PyPI: moto in server mode, and ministack in an environment of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVERS = ("moto", "ministack")
PYTHON_VARIABLE = "ZOO_MINISTACK_PYTHON"  # of an environment with ministack, whose dependencies do not go with s3fs
OWN_ENVIRONMENT = Path(".venv-ministack")
MINISTACK = "ministack==1.5.33"
STARTED_WITHIN_S = 60.0


def ministack_python() -> Path | None:
    """The Python that has ministack: the one that the environment variable names, or our own; None where neither is."""
    python = Path(os.environ.get(PYTHON_VARIABLE) or OWN_ENVIRONMENT / "bin" / "python")
    return python if python.exists() else None


def install_ministack() -> Path:
    """Make ministack's environment where there is none, from PyPI."""
    if (python := ministack_python()) is not None:
        return python
    venv.create(OWN_ENVIRONMENT, with_pip=True)
    python = OWN_ENVIRONMENT / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", MINISTACK], check=True)
    return python


@contextmanager
def s3_server(name: str) -> Iterator[str]:
    """An empty S3 server for as long as the block runs; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    if name == "moto":
        command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
        environment = dict(os.environ)
    else:
        command = [str(install_ministack()), "-m", "ministack"]
        environment = {**os.environ, "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"}
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _wait(endpoint, server)
        yield endpoint
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(endpoint: str, server: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < ends and server.poll() is None:
        try:
            urllib.request.urlopen(endpoint, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{endpoint}: the server did not start")
