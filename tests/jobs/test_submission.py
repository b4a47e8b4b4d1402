"""jobs/submit.py sees a job through: exit codes are the job's, and a job whose cluster is lost goes on in the next."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.job_submission import JobStatus

from benchmarks.running_ray import free_ports, running_ray
from zoo_pipeline import submitting
from zoo_pipeline.runtime import submission
from zoo_pipeline.runtime.submission import Submission, see_through
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


@pytest.mark.long
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
        assert "a relative path, but a job works in a copy" in told

        job = head.submit("--", "python", "jobs/train.py", "digits-demo", "--out", str(tmp_path / "more"), *words)
        wait_until(lambda: list(tmp_path.glob("more/checkpoints/*.parquet")))
        name = next(line.split()[2] for line in job.stdout if "submitted zoo-" in line).rstrip(";")
        stopping = [BIN / "ray", "job", "stop", "--address", head.url, name]
        subprocess.run(stopping, env=head.environment, check=True, capture_output=True)
        code, told = ended(job)
        assert code == 143, told
        assert "was stopped; the same command with --resume goes on" in told
        assert told.count("To go on, submit it again: python jobs/train.py digits-demo") == 1


@pytest.mark.long
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


STARTING = RuntimeError("Request failed with status code 500: No available agent to submit job.")
GONE = ConnectionError("Failed to connect to Ray")
OF_ANOTHER = RuntimeError("Request failed with status code 404: Job zoo does not exist.")
REPEATED = RuntimeError("Request failed with status code 400: Job with submission_id zoo already exists.")


@pytest.fixture
def cluster(monkeypatch):
    """A cluster whose answers to each call are given beforehand, errors among them; the last one stays."""
    answers = SimpleNamespace(submit_job=[None], get_job_info=[], tail_job_logs=[["log\n"]], jobs=[])

    def next_of(name):
        given = getattr(answers, name)
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    class Client:
        def __init__(self, _address):
            pass

        def submit_job(self, *, entrypoint, **_):
            answers.jobs.append(entrypoint)
            next_of("submit_job")

        def get_job_info(self, _job):
            return SimpleNamespace(status=next_of("get_job_info"), driver_exit_code=0, error_type=None)

        async def tail_job_logs(self, _job):
            for text in next_of("tail_job_logs"):
                if text is None:
                    await asyncio.sleep(60)
                yield text

    monkeypatch.setattr(submission, "JobSubmissionClient", Client)
    monkeypatch.setattr(submission, "POLL_S", 0.01)
    return answers


TRAINING = Submission(["python", "jobs/train.py", "x", "--out", "s3://b/run", "--overwrite"], resubmit=1, patience_s=5)
DONE, RUNNING = JobStatus.SUCCEEDED, JobStatus.RUNNING


@pytest.mark.parametrize("refusals", [[STARTING, STARTING], [GONE], [GONE, REPEATED]])
def test_a_head_that_is_still_starting_is_waited_for(cluster, refusals):
    cluster.submit_job, cluster.get_job_info = [*refusals, None], [DONE]
    assert see_through(TRAINING) == 0
    assert len(cluster.jobs) == len(refusals) + (REPEATED not in refusals)


def test_a_job_that_no_cluster_would_take_is_told_in_one_line(cluster, capsys):
    cluster.submit_job = [ValueError("Package size (2.00GiB) exceeds the maximum size of 512.00MiB.")]
    assert submitting.main(["--", "python", "jobs/run.py"], ROOT / "jobs", "") == 2
    told = capsys.readouterr().err
    assert "cannot be submitted (Package size (2.00GiB) exceeds the maximum size of 512.00MiB.)" in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("faults", [[STARTING], [GONE, GONE], [STARTING, GONE]])
def test_a_dashboard_that_stumbles_is_no_lost_cluster(cluster, faults):
    cluster.tail_job_logs, cluster.get_job_info = [GONE, ["log\n"]], [*faults, RUNNING, DONE]
    assert see_through(TRAINING) == 0
    assert len(cluster.jobs) == 1


@pytest.mark.parametrize(
    ("command", "stays"),
    [("python jobs/train.py x", "; what is published stays, and the same command with --resume goes on"),
     ("python jobs/analyze.py s3://b/run", "")],
)  # fmt: skip
def test_a_cluster_that_stays_away_is_waited_for_once_and_told(cluster, capsys, command, stays):
    cluster.tail_job_logs, cluster.get_job_info = [GONE], [GONE]
    begun = time.monotonic()
    assert see_through(Submission(command.split(), resubmit=3, patience_s=0.5)) == 1
    assert time.monotonic() - begun < 20
    assert len(cluster.jobs) == 1
    _, *told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("zoo: the cluster of zoo-")
    assert told[0].endswith(" does not answer; asking again for up to 0 s")
    assert told[1:] == [f"zoo: no cluster answered for 0 s; given up{stays}"]


def test_after_a_silence_the_cluster_is_asked_again_and_no_line_is_shown_twice(cluster, monkeypatch, capsys):
    monkeypatch.setattr(submission, "QUIET_S", 0.05)
    cluster.tail_job_logs, cluster.get_job_info = [["one\n", None], ["one\n", "two\n"]], [RUNNING, DONE]
    assert see_through(TRAINING) == 0
    assert capsys.readouterr().out == "one\ntwo\n"


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("python jobs/train.py x --out s3://b/run --overwrite", "python jobs/train.py x --out s3://b/run --resume"),
        ("zoo run x --out /run --resume", "zoo run x --out /run --resume"),
        ("python jobs/analyze.py s3://b/run --overwrite", "python jobs/analyze.py s3://b/run --overwrite"),
        ("zoo analyze train", "zoo analyze train"),
    ],
)
def test_in_another_cluster_training_goes_on_and_an_analysis_is_made_anew(cluster, command, again):
    cluster.tail_job_logs, cluster.get_job_info = [GONE, ["log\n"]], [OF_ANOTHER, DONE]
    assert see_through(Submission(command.split(), patience_s=5)) == 0
    assert cluster.jobs == [command, again]


def test_an_address_with_a_password_is_not_shown(capsys):
    words = ["--address", "http://me:hunter2@127.0.0.1:1", "--", "python", "jobs/run.py"]
    assert submitting.main(words, ROOT / "jobs", "") == 2
    told = capsys.readouterr().err
    assert "no Ray dashboard answers there" in told
    assert "hunter2" not in told
