"""jobs/submit.py sees a job through: exit codes are the job's, and a job whose cluster is lost goes on in the next."""

import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.running_ray import free_ports, running_ray
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.survey import survey

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SMALL = ["--set", "zoo.population.seeds=4", "--set", "zoo.population.group_size=2", "--set", "zoo.training.epochs=2"]


class Head:
    """A Ray with a dashboard, always at the same address."""

    def __init__(self, **environment: str) -> None:
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        self.environment = {**os.environ, "PATH": path, "RAY_AUTH_MODE": "disabled", **environment}
        self.ports = free_ports()
        self.url = f"http://127.0.0.1:{self.ports['dashboard-port']}"

    def running(self):
        """Start it, for as long as the block runs."""
        return running_ray(self.environment, self.ports)

    def submit(self, *words: str, **environment: str) -> subprocess.Popen:
        """jobs/submit.py, with its output in one pipe."""
        command = [sys.executable, str(ROOT / "jobs" / "submit.py"), "--address", self.url, *words]
        return subprocess.Popen(
            command,
            env={**self.environment, "PYTHONPATH": str(ROOT), **environment},
            cwd="/",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def answers(self) -> bool:
        """Whether jobs can be submitted by now."""
        command = [BIN / "ray", "job", "list", "--address", self.url]
        return subprocess.run(command, env=self.environment, capture_output=True, check=False).returncode == 0


def kill(process: int) -> None:
    """A machine that goes away: Ray's processes, the parents first, so that none notes that another has ended."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    os.kill(process, signal.SIGKILL)
    for child in children:
        with suppress(OSError):
            kill(int(child))


def wait_until(true, seconds: float = 120) -> None:
    """Wait for something that has to happen."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.1)


def ended(process: subprocess.Popen) -> tuple[int, str]:
    told, _ = process.communicate(timeout=240)
    return process.returncode, told


def test_a_job_whose_cluster_is_lost_goes_on_in_the_next_one(tmp_path):
    head, out = Head(), tmp_path / "run"
    words = ["--set", "zoo.population.seeds=100", "--set", "zoo.population.group_size=4"]
    with head.running() as first:
        wait_until(head.answers)
        job = head.submit("--", "python", "jobs/train.py", "digits-demo", "--out", str(out), *words)
        wait_until(lambda: len(list(out.glob("checkpoints/*.parquet"))) >= 2)
        kill(first.process.pid)
    before = {path.name: path.stat().st_mtime_ns for path in (out / "checkpoints").glob("*.parquet")}
    assert not survey(RunDirectory(str(out)))["complete"]
    with head.running():
        code, told = ended(job)
        assert code == 0, told
        assert "-0 was lost: its cluster, or the machine of its driver, went away" in told
        assert "-1 succeeded" in told
        assert survey(RunDirectory(str(out)))["complete"]
        assert {name: (out / "checkpoints" / name).stat().st_mtime_ns for name in before} == before

        # The same cluster: what ended by itself is not tried again, and codes are the job's own.
        code, told = ended(head.submit("--", "python", "jobs/run.py", "digits-demo", "--out", "run", *SMALL))
        assert (code, told.count("submitted zoo-")) == (2, 1), told
        assert "a relative path, but a submitted job works in a copy" in told

        job = head.submit("--", "python", "jobs/train.py", "digits-demo", "--out", str(tmp_path / "more"), *words)
        wait_until(lambda: list(tmp_path.glob("more/checkpoints/*.parquet")))
        name = next(line.split()[2] for line in job.stdout if "submitted zoo-" in line).rstrip(";")
        stopping = [BIN / "ray", "job", "stop", "--address", head.url, name]
        subprocess.run(stopping, env=head.environment, check=True, capture_output=True)
        code, told = ended(job)
        assert code == 143, told
        assert "was stopped; the same command with --resume goes on" in told
        assert told.count("To go on: zoo train digits-demo") == 1


def test_a_cluster_that_asks_for_a_token_gets_it_and_refuses_others(tmp_path):
    token = tmp_path / "token"
    token.write_text(secrets.token_hex(32))
    head, out = Head(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token)), tmp_path / "run"
    with head.running():
        wait_until(head.answers)
        command = ["--", "python", "jobs/run.py", "digits-demo", "--out", str(out), *SMALL]
        for refused in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN": "x" * 64}):
            code, told = ended(head.submit(*command, **refused))
            assert code == 2, told
            assert "the cluster asks for a token" in told
            assert "Traceback" not in told
        code, told = ended(head.submit(*command))
        assert code == 0, told
        assert survey(RunDirectory(str(out)))["complete"]
        assert token.read_text() not in told


@pytest.mark.parametrize("words", [[], ["--resubmit", "0"]])
def test_an_address_where_nobody_listens_is_told_at_once(words):
    code, told = ended(Head().submit(*words, "--", "python", "jobs/run.py", "digits-demo", "--out", "/nowhere"))
    assert code == 2
    assert "no Ray dashboard answers there" in told
    assert len(told.splitlines()) == 1
