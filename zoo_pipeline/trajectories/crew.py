"""Crews: who does the work on shares and buckets, in this process or in others. Functions and items can be pickled."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol


class Crew(Protocol):
    """Workers that all do the same: pure functions of what they are given, so that lost work can be done again.

    Attributes:
        workers: how many work at once.
    """

    workers: int

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Apply a function to every item; results come in the order of the items."""
        ...

    def exchange(
        self,
        give: Callable[[Any], Sequence[Any]],
        sources: Sequence[Any],
        take: Callable[[Any, Sequence[Any]], Any],
        parts: Sequence[Any],
    ) -> Iterator[Any]:
        """Sort what sources hold by parts, and work on the parts.

        Args:
            give: of a source a block for every part, in their order.
            sources: as many as give something.
            take: of a part and its blocks, one from every source in their order, the result.
            parts: as many as get something.

        Yields:
            The results, in the order of the parts.
        """
        ...


class Alone:
    """A crew of one: this process."""

    workers = 1

    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """Apply the function to one item after the other."""
        return map(function, items)

    def exchange(
        self,
        give: Callable[[Any], Sequence[Any]],
        sources: Sequence[Any],
        take: Callable[[Any, Sequence[Any]], Any],
        parts: Sequence[Any],
    ) -> Iterator[Any]:
        """All sources first, and then one part after the other."""
        given = [give(source) for source in sources]
        for number, part in enumerate(parts):
            yield take(part, [blocks[number] for blocks in given])
