"""Storage errors: many small runs through a proxy that disturbs the requests, held against a run on a local disk."""

import contextlib
import io
import json
import random
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow.parquet as pq

from benchmarks.chaos.proxy import FaultyProxy, serving
from benchmarks.chaos.servers import s3_server
from zoo_pipeline.cli import main
from zoo_pipeline.runtime import group_task
from zoo_pipeline.store import patience
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.options import StorageOptions, use_storage_options
from zoo_pipeline.store.shards import contents_sha256
from zoo_pipeline.training import GroupTraining

RATE = 0.3  # of the requests are disturbed
EXPIRINGRUNS = 0.3  # have their credentials expire once, which ends the command
EXPIRES_WITHIN = 150  # requests
READ_TIMEOUT_S = 0.3
GROUPS = 3
BUCKET = "chaos"
RUN = [
    "run", "digits-demo", "--executor", "inline",
    "--set", "zoo.training.epochs=3", "--set", "zoo.population.seeds=6", "--set", "zoo.population.group_size=2",
    "--set", "resources={stack: 2, threads: 1}",
]  # fmt: skip


@dataclass
class Tally:
    """What became of the runs.

    Attributes:
        runs: how many there were.
        equal: those with the contents of the undisturbed run.
        stray_files: files in them that the undisturbed run has not, or lacks.
        retrained_groups: groups trained more than once.
        resumed: times that a run was gone on with after its credentials had expired.
        unexplained: what should not have happened, in words.
    """

    runs: int = 0
    equal: int = 0
    stray_files: int = 0
    retrained_groups: int = 0
    resumed: int = 0
    unexplained: list[str] = field(default_factory=list)


def disturb(server: str, errors: int, seed: int) -> dict[str, Any]:
    """Make runs until so many errors have been injected.

    Args:
        server: moto or ministack.
        errors: how many.
        seed: of what is disturbed.

    Returns:
        The tally and the errors by kind.
    """
    before, patience.FIRST_WAIT_S = patience.FIRST_WAIT_S, 0.02  # the faults here pass at once
    tally, injected = Tally(), Counter[str]()
    try:
        with tempfile.TemporaryDirectory() as folder, s3_server(server) as upstream:
            local = str(Path(folder) / "run")
            code, _, told = call([*RUN, "--out", local])
            assert code == 0, told
            expected = contents(Files(local))
            use_options(upstream)
            Files(f"s3://{BUCKET}").filesystem.mkdir(BUCKET)
            while injected.total() < errors:
                proxy = FaultyProxy(upstream, seed + tally.runs, RATE)
                proxy.left = errors - injected.total()
                chance = random.Random(seed + tally.runs)
                if chance.random() < EXPIRINGRUNS:
                    proxy.expires_at = chance.randrange(EXPIRES_WITHIN)
                with serving(proxy):
                    _one_run(proxy, upstream, f"s3://{BUCKET}/run-{tally.runs}", expected, tally)
                injected += proxy.injected
                print(f"{tally.runs} runs, {tally.equal} equal, {injected.total()} errors", file=sys.stderr, flush=True)
    finally:
        patience.FIRST_WAIT_S = before
        use_storage_options(StorageOptions({}))
    return {
        "server": server,
        "seed": seed,
        "runs": tally.runs,
        "equal": tally.equal,
        "stray_files": tally.stray_files,
        "retrained_groups": tally.retrained_groups,
        "resumed": tally.resumed,
        "unexplained": tally.unexplained,
        "errors_injected": dict(sorted(injected.items())),
        "errors": injected.total(),
    }


def contents(files: Files) -> dict[str, str]:
    """Hashes of what has to be equal in all runs, by file; of other files that they are there."""
    found = {}
    for folder in ("", "checkpoints", "buffers", "states", "analysis", "analysis/default"):
        for name in files.names(folder):
            path = f"{folder}/{name}" if folder else name
            found[path] = ""
            if folder == "checkpoints" or name == "models.parquet":
                with files.open(path) as file:
                    found[path] = contents_sha256(pq.read_table(file, use_threads=False))
    return found


def _one_run(proxy: FaultyProxy, upstream: str, out: str, expected: dict[str, str], tally: Tally) -> None:
    tally.runs += 1
    command = [*RUN, "--out", out, *options(proxy.endpoint)]
    expiries, trained = 0, 0
    code, groups, told = call(command)
    trained += groups
    while code == 2 and proxy.expired:
        if len(told.splitlines()) != 1 or "credentials" not in told:
            tally.unexplained.append(f"{out}: {told}")
        expiries += 1
        proxy.expired = False
        code, groups, told = call([*command, "--resume"])
        trained += groups
    if code:
        tally.unexplained.append(f"{out}: exit code {code}: {told[-500:]}")
    tally.resumed += expiries
    again = trained - GROUPS
    tally.retrained_groups += max(0, again)
    if again > expiries:
        tally.unexplained.append(f"{out}: {again} groups trained again, {expiries} interruptions")
    use_options(upstream)
    found = contents(Files(out))
    tally.stray_files += len(found.keys() ^ expected.keys())
    tally.equal += found == expected


def call(arguments: list[str]) -> tuple[int, int, str]:
    """The exit code of a command, the groups that it began to train, and what it said on stderr."""
    out, errors = io.StringIO(), io.StringIO()
    begun: list[object] = []

    def counted(*given: Any) -> GroupTraining:
        begun.append(None)
        return GroupTraining(*given)

    with (
        mock.patch.object(group_task, "GroupTraining", counted),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        code = main(arguments)
    return code, len(begun), _said(errors.getvalue())


def _said(text: str) -> str:
    """Without the lines of progress."""
    return "\n".join(line for line in text.splitlines() if line.startswith(("zoo:", "group ", "Traceback", "  ")))


def options(endpoint: str, read_timeout_s: float = READ_TIMEOUT_S) -> list[str]:
    """The words of a command by which it finds the server, or the proxy before it."""
    config = json.dumps({"read_timeout": read_timeout_s})
    words = ["key=AKIACHAOSCHAOS", "secret=nobody-checks-it", f"endpoint_url={endpoint}", f"config_kwargs={config}"]
    return [word for option in words for word in ("--storage-option", option)]


def use_options(endpoint: str, read_timeout_s: float = READ_TIMEOUT_S) -> None:
    """Let this process find the server, or the proxy before it."""
    use_storage_options(StorageOptions.parse(options(endpoint, read_timeout_s)[1::2]))
