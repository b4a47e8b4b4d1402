"""Submitting a job and seeing it through: its log is followed, and a job whose cluster is lost is submitted again.

Ray's own `ray job submit` runs a job once, exits with 0 also where it was stopped, and with 1 whatever code it had.
"""

import asyncio
import logging
import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import requests
from aiohttp import ClientError
from ray.exceptions import AuthenticationError
from ray.job_submission import JobInfo, JobStatus, JobSubmissionClient

from zoo_pipeline.addresses import without_secrets
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.runtime.ending import TERMINATED

POLL_S = 2.0
QUIET_S = 120.0  # without a word of a job; training says one every 30 s
LOST = None  # in place of an exit code: the driver or its cluster went away, and nobody can say how it ended
_TRAINING = {"run", "train"}  # commands of zoo, and scripts in jobs/; an analysis has no --resume
_NEVER_BEGAN = ("RUNTIME_ENV_SETUP_FAILURE", "COMMAND_START_ERROR")  # another attempt would not either
# RuntimeError: what Ray makes of any other answer than 200, as of a head that is still starting.
_UNREACHABLE = (OSError, requests.RequestException, ClientError, RuntimeError)
_REFUSED, _UNKNOWN, _REPEATED = "status code 4", "status code 404", "already exists"


@dataclass(frozen=True)
class Submission:
    """A job to be submitted.

    Attributes:
        command: its words, such as `python jobs/run.py digits-demo --out s3://bucket/run`.
        runtime_env: as `ray job submit --runtime-env` and `--working-dir` give it.
        address: of the dashboard; None: as RAY_API_SERVER_ADDRESS or RAY_ADDRESS say.
        name: what submission ids begin with.
        resubmit: how often it is submitted again after its cluster was lost.
        patience_s: how long a cluster that does not answer is waited for.
    """

    command: Sequence[str]
    runtime_env: dict[str, Any] = field(default_factory=dict)
    address: str | None = None
    name: str = "zoo"
    resubmit: int = 3
    patience_s: float = 900.0

    def attempt(self, number: int) -> list[str]:
        """The command of an attempt: from the second on, one that goes on with the run, where it is one that trains."""
        if not number or not self._trains():
            return list(self.command)
        words = [word for word in self.command if word != "--overwrite"]
        return words if "--resume" in words else [*words, "--resume"]

    def what_stays(self) -> str:
        """How to go on by hand, where the job is one that trains."""
        return "; what is published stays, and the same command with --resume goes on" if self._trains() else ""

    def _trains(self) -> bool:
        scripts = {Path(word).stem for word in self.command if word.endswith(".py")}
        commands = {after for word, after in pairwise(self.command) if Path(word).name == "zoo"}
        return bool(_TRAINING & (scripts | commands))


def see_through(submission: Submission) -> int:
    """Submit a job, print its log as it comes, and submit it again after a lost cluster; returns the exit code.

    What happens to the job is told on stderr.

    Returns:
        0: the job succeeded. Its own exit code: it failed by itself, which no other attempt would change. 143: it was
        stopped. 1: it could not be started, or was lost more often than `resubmit` allows.

    Raises:
        ConfigError: there is no cluster at the address, it does not let us in, or does not take such a job.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)  # which files of the working directory it leaves out
    _connect(submission.address)  # a wrong address is told at once, and not waited for
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    try:
        for number in range(submission.resubmit + 1):
            job = f"{submission.name}-{stamp}-{number}"
            client = _submitted(submission, number, job)
            words = f"--address {without_secrets(submission.address)} {job}" if submission.address else job
            _tell(f"submitted {job}; ray job logs -f {words} follows it, ray job stop {words} ends it")
            code = _followed(submission, client, job)
            if code is not LOST:
                _tell(f"{job} {_said(code)}")
                return code
            _tell(f"{job} was lost: its cluster, or the machine of its driver, went away")
        _tell(f"lost {submission.resubmit + 1} times; given up{submission.what_stays()}")
    except _NoClusterError:
        _tell(f"no cluster answered for {submission.patience_s:.0f} s; given up{submission.what_stays()}")
    return 1


class _NoClusterError(Exception):
    """No cluster answers for as long as one is waited for."""


def _submitted(submission: Submission, number: int, job: str) -> JobSubmissionClient:
    """Submit an attempt to a cluster that may still be coming up.

    Raises:
        ConfigError: the cluster, or Ray's client, says that this job is none.
    """
    command, told, ends = shlex.join(submission.attempt(number)), False, time.monotonic() + submission.patience_s
    while True:
        client = _connected(submission, ends)
        try:
            client.submit_job(entrypoint=command, runtime_env=submission.runtime_env, submission_id=job)
            return client
        except (*_UNREACHABLE, ValueError) as error:
            if told and _REPEATED in str(error):
                return client  # the answer to an earlier try got lost
            if isinstance(error, ValueError) or _REFUSED in str(error):
                raise ConfigError(f"{job}: cannot be submitted ({_first_line(error)})") from None
            if time.monotonic() > ends:
                raise _NoClusterError from None
            if not told:
                _tell(f"{job} cannot be submitted yet ({_first_line(error)}); trying again")
            told = True
            time.sleep(POLL_S)


def _followed(submission: Submission, client: JobSubmissionClient, job: str) -> int | None:
    """Show a job's log until it ends; returns its exit code, or LOST."""
    log = _Log()
    while True:
        try:
            asyncio.run(log.follow(client, job))
            info = _ended(client, job)
        except _UNREACHABLE:
            answer = _asked_again(submission, job)
            if answer is None:
                return LOST
            client, info = answer
        if info.status.is_terminal():
            return _exit_code(info)


def _asked_again(submission: Submission, job: str) -> tuple[JobSubmissionClient, JobInfo] | None:
    """What a cluster that answers again says of a job; None: it is another one, which never heard of it."""
    ends = time.monotonic() + submission.patience_s
    _tell(f"the cluster of {job} does not answer; asking again for up to {submission.patience_s:.0f} s")
    time.sleep(POLL_S)
    while True:
        client = _connected(submission, ends)
        try:
            return client, client.get_job_info(job)
        except _UNREACHABLE as error:
            if _UNKNOWN in str(error):
                return None
            if time.monotonic() > ends:
                raise _NoClusterError from None
            time.sleep(POLL_S)


class _Log:
    """A job's log, each character of which is printed once, however often it is followed from its start."""

    def __init__(self) -> None:
        self._shown = 0

    async def follow(self, client: JobSubmissionClient, job: str) -> None:
        """Print what is new, until the log ends.

        Raises:
            TimeoutError: nothing has come for long.
        """
        at, texts = 0, client.tail_job_logs(job)
        # A machine that is gone closes no connection, so that after a silence the cluster is asked again.
        while (text := await asyncio.wait_for(anext(texts, None), QUIET_S)) is not None:
            print(text[max(0, self._shown - at) :], end="", flush=True)
            at += len(text)
            self._shown = max(self._shown, at)


def _ended(client: JobSubmissionClient, job: str) -> JobInfo:
    """What became of a job whose log has ended, which may be a moment before the job has."""
    time.sleep(POLL_S / 10)
    info = client.get_job_info(job)
    if not info.status.is_terminal():
        time.sleep(POLL_S)
    return info


def _exit_code(info: JobInfo) -> int | None:
    if info.status == JobStatus.SUCCEEDED:
        return 0
    if info.status == JobStatus.STOPPED:
        return TERMINATED
    code = info.driver_exit_code
    if code is None:
        return 1 if str(info.error_type).endswith(_NEVER_BEGAN) else LOST
    return LOST if code < 0 or code == 137 else code  # killed, which it cannot have done itself


def _said(code: int) -> str:
    return {0: "succeeded", TERMINATED: "was stopped; the same command with --resume goes on with the run"}.get(
        code, f"failed with exit code {code}"
    )


def _connect(address: str | None) -> JobSubmissionClient:
    """A client of the cluster.

    Raises:
        ConfigError: nobody answers, or we are not let in.
    """
    shown = address or "the address of RAY_API_SERVER_ADDRESS or RAY_ADDRESS"
    try:
        return JobSubmissionClient(address)
    except AuthenticationError as error:
        raise ConfigError(
            f"{shown}: the cluster asks for a token ({_first_line(error)}); export RAY_AUTH_MODE=token and "
            f"RAY_AUTH_TOKEN_PATH, or copy the cluster's ~/.ray/auth_token"
        ) from None
    except (*_UNREACHABLE, ValueError) as error:
        raise ConfigError(
            f"{shown}: no Ray dashboard answers there ({_first_line(error)}); name it by --address "
            f"http://HOST:8265, through a tunnel (ray dashboard cluster.yaml) where the cluster is elsewhere"
        ) from None


def _connected(submission: Submission, ends: float) -> JobSubmissionClient:
    """A client, of a cluster that may be away until then by the monotonic clock.

    Raises:
        _NoClusterError: it stays away.
    """
    while True:
        try:
            return _connect(submission.address)
        except ConfigError:
            if time.monotonic() > ends:
                raise _NoClusterError from None
            time.sleep(POLL_S)


def _tell(line: str) -> None:
    print(f"zoo: {line}", file=sys.stderr, flush=True)


def _first_line(error: BaseException) -> str:
    return without_secrets((str(error).splitlines() or [type(error).__name__])[0])[:200]
