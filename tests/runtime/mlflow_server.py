"""A real MLflow server, with SQLite behind it, in an environment of its own."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PYTHON_VARIABLE = "ZOO_MLFLOW_PYTHON"  # of an environment with the whole of mlflow, of which the tests have the client
OWN_ENVIRONMENT = Path(".venv-mlflow")
STARTED_WITHIN_S = 180.0


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run a server as long as the block runs, and yield its address; skip where there is none."""
    python = Path(os.environ.get(PYTHON_VARIABLE) or OWN_ENVIRONMENT / "bin" / "python")
    if not python.exists():
        pytest.skip(f"no MLflow server: {PYTHON_VARIABLE} names no Python that has mlflow, and no .venv-mlflow is here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(python.absolute()), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    for name in ("MLFLOW_TRACKING_URI", "PYTHONPATH"):
        environment.pop(name, None)
    with (folder / "server.log").open("w") as said:
        server = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", server, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # with the processes that it started; gently, it waits for its clients
        server.wait()


def _wait(address: str, server: subprocess.Popen, said: Path) -> None:
    ending = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < ending and server.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the MLflow server did not start: {said.read_text()[-2_000:]}")
