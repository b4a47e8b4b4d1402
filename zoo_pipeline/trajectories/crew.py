"""Crews: who does the work on shares and buckets, in this process or in others. Functions and items can be pickled."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch


class Crew(Protocol):
    """Workers that all do the same: pure functions of what they are given, so that lost work can be done again.

    Each worker tells the functions where to compute, its GPU if it has one.

    Attributes:
        workers: how many work at once.
    """

    workers: int

    def map(self, function: Callable[..., Any], items: Sequence[Any]) -> Iterator[Any]:
        """Call `function(item, device=…)` for every item; results come in the order of the items."""
        ...

    def exchange(
        self,
        give: Callable[[Any], Sequence[Any]],
        sources: Sequence[Any],
        take: Callable[..., Any],
        parts: Sequence[Any],
    ) -> Iterator[Any]:
        """Sort what sources hold by parts, and work on the parts.

        Args:
            give: of a source a block for every part, in their order.
            sources: as many as give something.
            take: called `take(part, blocks, device=…)` with the blocks for a part, one from every source in their
                order, it returns the result.
            parts: as many as get something.

        Yields:
            The results, in the order of the parts.
        """
        ...


def computed(device: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function(*arguments, device=…)`; where a GPU's memory does not suffice, once more on the CPU."""
    try:
        return function(*arguments, device=device)
    except torch.OutOfMemoryError:
        if device == "cpu":
            raise
    # Outside the handler: its traceback would keep the failed attempt's tensors alive.
    torch.cuda.empty_cache()
    return function(*arguments, device="cpu")


class Alone:
    """A crew of one: this process.

    Args:
        device: where it computes, by torch's name.
    """

    workers = 1

    def __init__(self, device: str = "cpu") -> None:
        self._device = device

    def map(self, function: Callable[..., Any], items: Sequence[Any]) -> Iterator[Any]:
        """One item after the other."""
        return (computed(self._device, function, item) for item in items)

    def exchange(
        self,
        give: Callable[[Any], Sequence[Any]],
        sources: Sequence[Any],
        take: Callable[..., Any],
        parts: Sequence[Any],
    ) -> Iterator[Any]:
        """All sources first, and then one part after the other."""
        given = [give(source) for source in sources]
        for number, part in enumerate(parts):
            yield computed(self._device, take, part, [blocks[number] for blocks in given])
