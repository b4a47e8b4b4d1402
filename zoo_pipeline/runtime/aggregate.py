"""Aggregate actors: they work on shares and buckets of an analysis, wherever the cluster has room."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import ray
import torch
from ray.exceptions import RayError

from zoo_pipeline.runtime.executor import ANALYSIS
from zoo_pipeline.runtime.ray_words import unfinished
from zoo_pipeline.store.options import StorageOptions, storage_options, use_storage_options

RESTARTS = 8  # of an actor whose worker or node died; what it was doing is done again
WAITING = 2  # items per actor, so that none waits for the driver


@contextmanager
def aggregate_actors(actors: int, threads: int = 1) -> "Iterator[AggregateCrew]":
    """So many actors, for as long as the block runs; a Ray session is open.

    Args:
        actors: how many work at once.
        threads: of torch in each, and CPUs that it takes.
    """
    remote = ray.remote(num_cpus=threads, max_restarts=RESTARTS, max_task_retries=RESTARTS)(_Aggregate)
    crew = AggregateCrew([remote.remote(threads, storage_options()) for _ in range(actors)])
    try:
        yield crew
    finally:
        for actor in crew.actors:
            ray.kill(actor)


class AggregateCrew:
    """A crew of actors; what they give each other stays in Ray's object store.

    An actor that dies is restarted, and what it was asked to do is done again. An error that a function raises is
    raised here, too, and ends the work.
    """

    def __init__(self, actors: list[Any]) -> None:
        self.actors = actors
        self.workers = len(actors)

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Apply a function to every item; results come in the order of the items."""
        shared = ray.put(function)
        return map(_value, self._finished([partial(_apply, shared, item) for item in items]))

    def exchange(
        self,
        give: Callable[[Any], Sequence[Any]],
        sources: Sequence[Any],
        take: Callable[[Any, Sequence[Any]], Any],
        parts: Sequence[Any],
    ) -> Iterator[Any]:
        """As `Crew.exchange` says; the blocks go from actor to actor."""
        giving, taking = ray.put(give), ray.put(take)
        given = list(self._finished([partial(_give, giving, source, len(parts)) for source in sources]))
        return map(
            _value,
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
                (ready,), _ = ray.wait(list(pending), num_returns=1, fetch_local=False)
                finished, actor = pending.pop(ready)
                done.add(finished)
                give(actor)
            yield returned[number]
            returned[number] = None


class _Aggregate:
    """One of the actors; all that it knows comes with what it is asked to do, so that any other can do it again."""

    def __init__(self, threads: int, storage: StorageOptions) -> None:
        use_storage_options(storage)
        torch.set_num_threads(threads)

    def __repr__(self) -> str:
        """What Ray puts before the lines that an actor prints."""
        return ANALYSIS

    def apply(self, function: Callable[[Any], Any], item: Any) -> Any:
        return function(item)

    def give(self, function: Callable[[Any], Sequence[Any]], source: Any) -> Any:
        blocks = function(source)
        return blocks[0] if len(blocks) == 1 else tuple(blocks)

    def take(self, function: Callable[[Any, Sequence[Any]], Any], part: Any, *blocks: Any) -> Any:
        return function(part, blocks)


def _apply(function: Any, item: Any, actor: Any) -> Any:
    return actor.apply.remote(function, item)


def _give(function: Any, source: Any, parts: int, actor: Any) -> list[Any]:
    returned = actor.give.options(num_returns=parts).remote(function, source)
    return [returned] if parts == 1 else returned


def _take(function: Any, part: Any, blocks: list[Any], actor: Any) -> Any:
    return actor.take.remote(function, part, *blocks)


def _first(returned: Any) -> Any:
    return returned[0] if isinstance(returned, list) else returned


def _value(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayError as error:
        # Ray wraps what a function raised; the cause is the error itself, as it is without Ray.
        cause = getattr(error, "cause", None)
        if isinstance(cause, Exception):
            raise cause from None
        raise unfinished(error, ANALYSIS) from None
