"""Aggregate actors: they work on shares and buckets of an analysis, wherever the cluster has room."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
import torch
from ray.exceptions import RayError

from zoo_pipeline.errors import UnfinishedError
from zoo_pipeline.runtime.executor import ANALYSIS
from zoo_pipeline.runtime.ray_words import unfinished
from zoo_pipeline.store.options import StorageOptions, storage_options, use_storage_options
from zoo_pipeline.trajectories.crew import computed

RESTARTS = 8  # of an actor whose worker or node died; what it was doing is done again
WAITING = 2  # items per actor, so that none waits for the driver
ACTORS_PER_GPU = 4  # that share one: each spends most of its time on its CPU
POLL_S = 10.0
ROOM_WAIT_S = 600.0  # for a machine in place of one that was lost, where nothing else gets done
GPU_WAIT_S = 60.0  # for a share of a GPU; without one by then, an actor is started that has none


@contextmanager
def aggregate_actors(actors: int, threads: int = 1) -> "Iterator[AggregateCrew]":
    """So many actors, for as long as the block runs; a Ray session is open.

    The first of them share the GPUs that are free, `ACTORS_PER_GPU` each.

    Args:
        actors: how many work at once.
        threads: of torch in each, and CPUs that it takes.
    """
    # They read shards, so they are spread over the machines and their networks.
    remote = ray.remote(
        num_cpus=threads, max_restarts=RESTARTS, max_task_retries=RESTARTS, scheduling_strategy="SPREAD"
    )(_Aggregate)
    sharing = _sharing_gpus(remote, actors, threads)
    others = [remote.remote(threads, storage_options()) for _ in range(actors - len(sharing))]
    crew = AggregateCrew([*sharing, *others], len(sharing), threads)
    try:
        yield crew
    finally:
        for actor in crew.actors:
            ray.kill(actor)


def _sharing_gpus(remote: Any, actors: int, threads: int) -> list[Any]:
    """Start actors with a share of a GPU each; they have started before others take the CPUs beside the GPUs."""
    most = min(actors, ACTORS_PER_GPU * int(ray.available_resources().get("GPU", 0)))
    calls = {}
    for _ in range(most):
        actor = remote.options(num_gpus=1 / ACTORS_PER_GPU).remote(threads, storage_options())
        calls[actor.where.remote()] = actor
    started, late = ray.wait(list(calls), num_returns=most, timeout=GPU_WAIT_S) if most else ([], [])
    for call in late:
        ray.kill(calls[call])
    return [calls[call] for call in started]


class AggregateCrew:
    """A crew of actors; what they give each other stays in Ray's object store.

    An actor that dies is restarted, and what it was asked to do is done again. An error that a function raises is
    raised here, too, and ends the work. So does a machine that is lost for good: its actors find no room elsewhere, and
    what they were asked for would be waited for without end.
    """

    def __init__(self, actors: list[Any], sharing: int, threads: int) -> None:
        self.actors = actors
        self.workers = len(actors)
        self._sharing = sharing  # a GPU
        self._threads = threads

    def map(self, function: Callable[..., Any], items: Sequence[Any]) -> Iterator[Any]:
        """As `Crew.map` says."""
        shared = ray.put(function)
        return map(self._value, self._finished([partial(_apply, shared, item) for item in items]))

    def exchange(
        self,
        give: Callable[[Any], Sequence[Any]],
        sources: Sequence[Any],
        take: Callable[..., Any],
        parts: Sequence[Any],
    ) -> Iterator[Any]:
        """As `Crew.exchange` says; the blocks go from actor to actor."""
        giving, taking = ray.put(give), ray.put(take)
        given = list(self._finished([partial(_give, giving, source, len(parts)) for source in sources]))
        return map(
            self._value,
            self._finished(
                [
                    partial(_take, taking, part, [blocks[number] for blocks in given])
                    for number, part in enumerate(parts)
                ]
            ),
        )

    def _finished(self, calls: Sequence[Callable[[Any], Any]]) -> Iterator[Any]:
        """Have every call made on some actor, and yield what it returned, references, in the order of the calls."""
        returned: list[Any] = [None] * len(calls)
        following = iter(range(len(calls)))
        pending: dict[Any, tuple[int, Any]] = {}

        def give(actor: Any) -> None:
            for number in following:
                returned[number] = calls[number](actor)
                pending[_first(returned[number])] = number, actor
                return

        for actor in self.actors * WAITING:
            give(actor)
        done: set[int] = set()
        for number in range(len(calls)):
            while number not in done:
                ready = self._first_of(list(pending), fetch_local=False)
                finished, actor = pending.pop(ready)
                done.add(finished)
                give(actor)
            yield returned[number]
            returned[number] = None

    def _first_of(self, references: list[Any], *, fetch_local: bool) -> Any:
        """Wait for one of several.

        Raises:
            UnfinishedError: none comes, and the cluster has had no room for all actors for long.
        """
        missing_since: float | None = None
        while True:
            ready, _ = ray.wait(references, num_returns=1, timeout=POLL_S, fetch_local=fetch_local)
            if ready:
                return ready[0]
            if self._has_room():
                missing_since = None
                continue
            missing_since = missing_since or time.monotonic()
            if time.monotonic() - missing_since > ROOM_WAIT_S:
                raise UnfinishedError(
                    f"{ANALYSIS}: a machine was lost, and none has taken its place for {ROOM_WAIT_S:.0f} s; "
                    f"begin it again, with the machines that are there"
                )

    def _has_room(self) -> bool:
        """Whether the machines that are up have room for all actors, and GPUs for those that share one."""
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        actors = [int(machine.get("CPU", 0)) // self._threads for machine in machines]
        shares = [int(ACTORS_PER_GPU * machine.get("GPU", 0)) for machine in machines]
        return sum(actors) >= self.workers and sum(map(min, actors, shares)) >= self._sharing

    def _value(self, reference: Any) -> Any:
        self._first_of([reference], fetch_local=True)
        try:
            return ray.get(reference)
        except RayError as error:
            # Ray wraps what a function raised; the cause is the error itself, as it is without Ray.
            cause = getattr(error, "cause", None)
            if isinstance(cause, Exception):
                raise cause from None
            raise unfinished(error, ANALYSIS) from None


class _Aggregate:
    """One of the actors; all that it knows comes with what it is asked to do, so that any other can do it again."""

    def __init__(self, threads: int, storage: StorageOptions) -> None:
        use_storage_options(storage)
        torch.set_num_threads(threads)
        # An actor without a GPU may still see all of the machine's, so Ray is asked first.
        self._device = "cuda" if ray.get_gpu_ids() and torch.cuda.is_available() else "cpu"

    def __repr__(self) -> str:
        """What Ray puts before the lines that an actor prints."""
        return ANALYSIS

    def where(self) -> str:
        return self._device

    def apply(self, function: Callable[..., Any], item: Any) -> Any:
        return computed(self._device, function, item)

    def give(self, function: Callable[[Any], Sequence[Any]], source: Any) -> Any:
        blocks = function(source)
        return blocks[0] if len(blocks) == 1 else tuple(blocks)

    def take(self, function: Callable[..., Any], part: Any, *blocks: Any) -> Any:
        return computed(self._device, function, part, blocks)


def _apply(function: Any, item: Any, actor: Any) -> Any:
    return actor.apply.remote(function, item)


def _give(function: Any, source: Any, parts: int, actor: Any) -> list[Any]:
    returned = actor.give.options(num_returns=parts).remote(function, source)
    return [returned] if parts == 1 else returned


def _take(function: Any, part: Any, blocks: list[Any], actor: Any) -> Any:
    return actor.take.remote(function, part, *blocks)


def _first(returned: Any) -> Any:
    return returned[0] if isinstance(returned, list) else returned
