"""A node of four that dies in the middle of a zoo of some thousands of models."""

import random
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.chaos.cluster import LocalCluster
from benchmarks.chaos.counted import trainings
from benchmarks.chaos.kills import start_driver
from benchmarks.chaos.place import Place, places
from zoo_pipeline.ranges import SHARD_BYTES

NODES = 4
MODELS, GROUP = 5_120, 16
SETTINGS = (
    f"zoo.population.seeds={MODELS}",
    f"zoo.population.group_size={GROUP}",
    "resources={stack: 16, threads: 1}",
)
LONGEST_S = 900.0


def measure_node_loss(seed: int, folder: Path) -> dict[str, Any]:
    """Two runs, one of which loses a node when two fifths of its groups are there; returns the JSON line's figures."""
    groups = MODELS // GROUP
    with places(None, folder) as place:
        calm, disturbed = place("calm"), place("disturbed")
        with LocalCluster(NODES) as cluster:
            calm_s = _run(cluster, calm, lambda: None)
        with LocalCluster(NODES) as cluster:
            disturbed_s = _run(
                cluster, disturbed, lambda: cluster.kill_node(random.Random(seed), replace=False), 2 * groups // 5
            )
        expected, left = calm.left(), disturbed.left()
        again = sum(count > 1 for count in trainings(disturbed.root).values())
    return {
        "nodes": NODES,
        "models": MODELS,
        "groups": groups,
        "equal": left.contents == expected.contents and left.complete,
        "stray_files": len(left.files - expected.files),
        "retrained_groups": again,
        "allowed": 1,  # a node has one CPU, so one group runs there
        "calm_s": round(calm_s, 1),
        "disturbed_s": round(disturbed_s, 1),
    }


def _run(cluster: LocalCluster, place: Place, disturb: Any, after: int = 0) -> float:
    """Run the zoo, and disturb it when so many groups are there; returns the seconds that it took."""
    started = time.monotonic()
    driver = start_driver(cluster.address, place, SHARD_BYTES, SETTINGS)
    shards = Path(place.root, "checkpoints")
    while driver.poll() is None and len(list(shards.glob("group-*.parquet"))) < after:
        time.sleep(0.05)
    print(f"{time.monotonic() - started:.0f} s: disturbing" if after else "undisturbed", file=sys.stderr)
    disturb()
    if driver.wait(LONGEST_S) != 0:
        raise RuntimeError(f"the run failed: {place.told.read_text()[-2000:]}")
    return time.monotonic() - started
