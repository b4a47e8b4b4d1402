"""Aggregate actors: they work on shares and buckets of an analysis, wherever the cluster has room."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
import torch

from zoo_pipeline.trajectories.approximate import Run

RESTARTS = 8  # of an actor whose worker or node died; what it was doing is done again
WAITING = 2  # items per actor, so that none waits for the driver


@contextmanager
def aggregate_actors(actors: int, threads: int = 1) -> Iterator[Run]:
    """A map over so many actors, for as long as the block runs; a Ray session is open.

    Args:
        actors: how many work at once.
        threads: of torch in each, and CPUs that it takes.
    """
    remote = ray.remote(num_cpus=threads, max_restarts=RESTARTS, max_task_retries=RESTARTS)(_Aggregate)
    crew = [remote.remote(threads) for _ in range(actors)]

    def run(function: Callable[[Any], Any], items: Iterable[Any], /) -> Iterator[Any]:
        shared = ray.put(function)
        listed = list(items)
        results: list[Any] = [None] * len(listed)
        following = iter(range(len(listed)))
        pending: dict[Any, tuple[int, Any]] = {}

        def give(actor: Any) -> None:
            for number in following:
                pending[actor.apply.remote(shared, listed[number])] = number, actor
                return

        for actor in crew * WAITING:
            give(actor)
        while pending:
            (ready,), _ = ray.wait(list(pending), num_returns=1)
            number, actor = pending.pop(ready)
            results[number] = ray.get(ready)
            give(actor)
        return iter(results)

    try:
        yield run
    finally:
        for actor in crew:
            ray.kill(actor)


class _Aggregate:
    """One of the actors; all that it knows comes with what it is asked to do, so that any other can do it again."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)

    def apply(self, function: Callable[[Any], Any], item: Any) -> Any:
        return function(item)
