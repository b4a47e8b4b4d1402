"""Kills at random moments: of a worker, a node or the driver, one in each run."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.chaos.cluster import NODES, LocalCluster
from benchmarks.chaos.counted import trainings
from benchmarks.chaos.left import Left
from benchmarks.chaos.place import Place, places
from zoo_pipeline.ranges import SHARD_BYTES

GROUPS = 64
SETTINGS = (
    f"zoo.population.seeds={4 * GROUPS}",
    "zoo.population.group_size=4",
    "zoo.training.epochs=8",
    "resources={stack: 4, threads: 1}",  # said, so that all runs are equal bit by bit
)
RANGES_BYTES = 40_000  # a shard of two epochs
KINDS = ("worker", "node", "driver SIGKILL", "driver SIGTERM")
EXPLAINED = {"worker": 1, "node": 1, "driver SIGKILL": NODES, "driver SIGTERM": NODES}  # groups that a kill may cost
ENDED = {  # exit codes; SIGTERM also before there is a handler for it, and while Ray is connecting
    "driver SIGKILL": (-signal.SIGKILL,),
    "driver SIGTERM": (143, -signal.SIGTERM, signal.SIGTERM),
}
LONGEST_S = 180.0  # that a run may take


@dataclass(frozen=True)
class Killed:
    """One disturbed run.

    Attributes:
        kind: what was killed.
        at_s: when, after the driver's start.
        ranges: whether groups were published in epoch ranges.
        equal: whether its contents are those of the undisturbed run.
        stray: files that an undisturbed run does not have.
        temporaries: files whose names begin with a dot, which readers skip.
        retrained: groups that were begun more than once.
        unexplained: what the kill does not explain; empty where nothing.
    """

    kind: str
    at_s: float
    ranges: bool
    equal: bool
    stray: int
    temporaries: int
    retrained: int
    unexplained: str


def measure_kills(kills: int, seed: int, folder: Path, server: str | None = None) -> dict[str, Any]:
    """Run and kill until so many runs were hit; returns the figures of the JSON line.

    Args:
        kills: how many runs.
        seed: of what is killed, and when.
        folder: of the runs.
        server: the S3 server in whose bucket the runs lie instead.
    """
    missed, done = 0, list[Killed]()
    with LocalCluster() as cluster, places(server, folder) as place:
        calm = {ranges: _undisturbed(cluster, place(f"calm-{ranges}"), ranges) for ranges in (False, True)}
        for number in _numbers():
            if len(done) == kills:
                break
            rng = random.Random(f"{seed} {number}")
            killed = _disturbed(cluster, place("run"), rng, KINDS[len(done) % len(KINDS)], calm)
            if killed is None:
                missed += 1
                continue
            done.append(killed)
            print(f"{len(done)}: {killed}", file=sys.stderr, flush=True)
    return {
        "kills": {kind: sum(killed.kind == kind for killed in done) for kind in KINDS},
        "server": server,
        "seed": seed,
        "groups": GROUPS,
        "runs": len(done),
        "in_ranges": sum(killed.ranges for killed in done),
        "equal": sum(killed.equal for killed in done),
        "stray_files": sum(killed.stray for killed in done),
        "temporaries": sum(killed.temporaries for killed in done),
        "retrained_groups": sum(killed.retrained for killed in done),
        "unexplained": [killed.unexplained for killed in done if killed.unexplained],
        "missed": missed,
        "undisturbed_s": {("ranges" if ranges else "whole"): round(each[1], 1) for ranges, each in calm.items()},
    }


def _numbers() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def _undisturbed(cluster: LocalCluster, place: Place, ranges: bool) -> tuple[Left, float]:
    """What is left of a run that nobody disturbs, and how long it takes."""
    started = time.monotonic()
    driver = _driver(cluster, place, ranges)
    if driver.wait(LONGEST_S) != 0:
        raise RuntimeError(f"the undisturbed run failed: {_told(place)}")
    return place.left(), time.monotonic() - started


def _disturbed(
    cluster: LocalCluster, place: Place, rng: random.Random, kind: str, calm: dict[bool, tuple[Left, float]]
) -> Killed | None:
    """One run and one kill; None where it was over before."""
    place.clear()
    ranges = rng.random() < 0.5
    expected, usual_s = calm[ranges]
    at_s = rng.uniform(0.0, usual_s)
    started = time.monotonic()
    driver = _driver(cluster, place, ranges)
    try:
        driver.wait(at_s)
        return None
    except subprocess.TimeoutExpired:
        hit = _kill(cluster, driver, rng, kind)
    faults = []
    code = _ended(driver)
    if not hit:
        return None
    if kind.startswith("driver"):
        if code not in ENDED[kind]:
            return (
                None
                if code == 0
                else Killed(kind, at_s, ranges, False, 0, 0, 0, f"driver ended with {code} after {at_s:.2f} s")
            )
        code = _ended(_driver(cluster, place, ranges, "--resume"))
    if code != 0:
        faults.append(f"exit code {code} after {kind} at {at_s:.2f} s: {_told(place)[-500:]}")
        _ended(_driver(cluster, place, ranges, "--resume"))
    left, counts = place.left(), trainings(place.root)
    retrained = sum(count > 1 for count in counts.values())
    if retrained > EXPLAINED[kind] or max(counts.values()) > 2 or len(counts) != GROUPS:
        faults.append(f"{kind} at {at_s:.2f} s: groups begun again {retrained}, most {max(counts.values())}")
    if time.monotonic() - started > LONGEST_S:
        faults.append(f"{kind} at {at_s:.2f} s: took {time.monotonic() - started:.0f} s")
    return Killed(
        kind=kind,
        at_s=round(at_s, 2),
        ranges=ranges,
        equal=left.contents == expected.contents and left.complete,
        stray=len(left.files - expected.files),
        temporaries=len(left.temporaries),
        retrained=retrained,
        unexplained="; ".join(faults),
    )


def _kill(cluster: LocalCluster, driver: subprocess.Popen[bytes], rng: random.Random, kind: str) -> bool:
    """Kill; waits for a worker that trains as long as the driver runs."""
    if kind == "node":
        return cluster.kill_node(rng)
    if kind.startswith("driver"):
        driver.send_signal(signal.SIGKILL if kind.endswith("SIGKILL") else signal.SIGTERM)
        return True
    while driver.poll() is None:
        if cluster.kill_worker(rng):
            return True
        time.sleep(0.02)
    return False


def start_driver(
    address: str, place: Place, shard_bytes: int, settings: Sequence[str], *more: str
) -> subprocess.Popen[bytes]:
    """Train digits-demo with these settings, counting attempts, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.chaos.driver", str(shard_bytes), "train", "digits-demo"]
    command += [word for setting in settings for word in ("--set", setting)]
    command += ["--out", place.root, "--ray-address", address, *more]
    command += [word for option in place.options for word in ("--storage-option", option)]
    with place.told.open("ab") as told:
        return subprocess.Popen(command, stdout=told, stderr=told)


def _driver(cluster: LocalCluster, place: Place, ranges: bool, *more: str) -> subprocess.Popen[bytes]:
    return start_driver(cluster.address, place, RANGES_BYTES if ranges else SHARD_BYTES, SETTINGS, *more)


def _ended(driver: subprocess.Popen[bytes]) -> int:
    try:
        return driver.wait(LONGEST_S)
    except subprocess.TimeoutExpired:
        driver.kill()
        driver.wait()
        return 124


def _told(place: Place) -> str:
    return json.dumps(place.told.read_text(errors="replace").splitlines()[-5:])
