"""`ray job submit` of jobs/run.py against a real cluster on this machine, started as a user would."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.running_ray import free_ports, running_ray
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.survey import survey

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SMALL = ["--set", "zoo.population.seeds=4", "--set", "zoo.population.group_size=2", "--set", "zoo.training.epochs=2"]


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "RAY_AUTH_MODE": "disabled"}


@pytest.fixture(scope="module")
def address():
    """The dashboard's address of a cluster that lives as long as this module's tests."""
    with running_ray(environment(), free_ports()) as cluster:
        cluster.wait(cluster.answers)
        yield cluster.address


def submit(address: str, *entrypoint: str) -> subprocess.CompletedProcess:
    command = [BIN / "ray", "job", "submit", "--address", address, "--working-dir", str(ROOT)]
    command += ["--runtime-env", str(ROOT / "jobs" / "runtime_env.yaml"), "--", *entrypoint]
    return subprocess.run(command, env=environment(), cwd="/", capture_output=True, text=True, timeout=240)


def test_a_submitted_run_succeeds_and_leaves_a_complete_run(address, tmp_path):
    out = tmp_path / "run"
    done = submit(address, "python", "jobs/run.py", "digits-demo", "--out", str(out), *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    assert "training: 8 of 8 model-epochs, 4 of 4 models done" in done.stdout  # the last of the lines, one each 30 s
    found = survey(RunDirectory(str(out)))
    assert (found["complete"], found["shards"], found["analyses"], found["report"]) == (True, 2, ["default"], True)
    assert "recovered exactly" in done.stdout
    assert re.search(r"trained 2 groups", done.stdout)


def test_a_job_that_cannot_run_fails_with_its_one_line(address, tmp_path):
    out = tmp_path / "run"
    failed = submit(
        address, "python", "jobs/run.py", "digits-demo", "--out", str(out), "--set", "zoo.training.epochs=0"
    )
    assert failed.returncode == 1  # Ray's own code for an entry point that ended with any other than 0
    assert "zoo.training.epochs: got 0" in failed.stdout
    assert "exit code 2" in failed.stdout
    assert "Traceback" not in failed.stdout
    assert not out.exists()


def test_a_stopped_job_says_how_to_go_on_and_the_same_command_finishes_it(address, tmp_path):
    out = tmp_path / "run"
    more = ["--set", "zoo.population.seeds=120", "--set", "zoo.population.group_size=4"]
    job, entrypoint = f"stopped-{os.getpid()}", ["python", "jobs/train.py", "digits-demo", "--out", str(out), *more]
    command = [BIN / "ray", "job", "submit", "--address", address, "--submission-id", job, "--no-wait"]
    command += ["--working-dir", str(ROOT), "--runtime-env", str(ROOT / "jobs" / "runtime_env.yaml"), "--", *entrypoint]
    subprocess.run(command, env=environment(), cwd="/", check=True, capture_output=True, timeout=240)
    deadline = time.monotonic() + 120
    while not list(out.glob("checkpoints/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    ours = [BIN / "ray", "job", "stop", "--address", address, job]
    subprocess.run(ours, env=environment(), check=True, capture_output=True, timeout=120)
    ours[2] = "logs"
    told, deadline = "", time.monotonic() + 30
    while "To go on" not in told and time.monotonic() < deadline:  # the log comes a moment after the job's end
        told = subprocess.run(ours, env=environment(), check=True, capture_output=True, text=True, timeout=120).stdout
    assert f"To go on, submit it again: python jobs/train.py digits-demo --out {out}" in told
    assert "Traceback" not in told
    before = {path.name: path.stat().st_mtime_ns for path in (out / "checkpoints").iterdir()}
    assert 1 <= len(before) < 30
    done = submit(address, *entrypoint, "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert survey(RunDirectory(str(out)))["complete"]
    assert {name: (out / "checkpoints" / name).stat().st_mtime_ns for name in before} == before
