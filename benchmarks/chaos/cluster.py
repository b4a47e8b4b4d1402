"""A Ray cluster of several nodes on this machine, whose nodes and workers can be killed."""

import os
import random
import signal
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ray.cluster_utils import Cluster

NODES = 3
_TASK = "ray::training"  # how Ray calls a process while it runs a training task


class LocalCluster:
    """A head without CPUs, and nodes with one CPU each; all processes are this one's, and end with it.

    Nodes may say that they have a GPU each; those that replace them have none.
    """

    def __init__(self, nodes: int = NODES, *, gpus: int = 0) -> None:
        os.environ["PYTHONPATH"] = str(Path.cwd())  # workers import this package, too
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self._nodes = [self._cluster.add_node(num_cpus=1, num_gpus=gpus) for _ in range(nodes)]
        self.address: str = self._cluster.address

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cluster.shutdown()

    def kill_worker(self, rng: random.Random) -> bool:
        """Kill a process that trains a group; False where none does."""
        training = [process for node in self._nodes for process in _children(_raylet(node)) if _trains(process)]
        if not training:
            return False
        with suppress(ProcessLookupError):
            os.kill(rng.choice(training), signal.SIGKILL)
            return True
        return False

    def kill_node(self, rng: random.Random, *, replace: bool = True) -> bool:
        """Kill all of a node at once, and give the cluster another one."""
        node = self._nodes.pop(rng.randrange(len(self._nodes)))
        self._cluster.remove_node(node, allow_graceful=False)
        if replace:
            self.add_node()
        return True

    def add_node(self) -> None:
        """One more, without a GPU; for the main thread alone."""
        self._nodes.append(self._cluster.add_node(num_cpus=1))


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def _children(process: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []


def _trains(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().startswith(_TASK.encode())
    return False
