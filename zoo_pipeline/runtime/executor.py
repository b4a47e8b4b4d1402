"""Where work runs: the same plain functions, called by Ray tasks or in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from zoo_pipeline.runtime.metrics import Meter

# What the work is called in messages, and in Ray's logs and dashboard.
DATASET, TRAINING, ANALYSIS, REPORT = "dataset", "training", "analysis", "report"
IMPORT, EXPORT = "import", "export"


@dataclass(frozen=True)
class Outcome:
    """What became of one item: a value, or the error that its function raised."""

    item: Any
    value: Any = None
    error: Exception | None = None


class Executor(Protocol):
    """Ways to have functions called; functions and items must be importable and picklable.

    Attributes:
        name: of the way.
        meter: what is told the metrics of this process.
    """

    name: str
    meter: Meter

    def map_unordered(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        *shared: Any,
        memory_bytes: int = 0,
        work: str = TRAINING,
    ) -> Iterator[Outcome]:
        """Call `function(item, *shared, device=…)` for every item; outcomes come as they are ready.

        Args:
            function: what to call.
            items: what with.
            shared: further arguments of all calls.
            memory_bytes: that a call needs of its machine, for whoever places calls; 0: unknown.
            work: its name for users.
        """
        ...

    def share(self, value: Any, /) -> Any:
        """What stands for a value that is shared with many calls, and is given away once."""
        ...

    def keep(self, work: str, function: Callable[[], Any], /, *, memory_bytes: int = 0) -> Any:
        """Call `function()` where work is done; what it returns is kept there, and may be shared with calls.

        Args:
            work: its name for users.
            function: what to call; what it raises is raised here.
            memory_bytes: that it needs of its machine; 0: unknown.
        """
        ...

    def listening(self, heard: Callable[[Any], None]) -> AbstractContextManager[Callable[[Any], None]]:
        """A function that may be shared with calls: what they give it `heard` gets here, unless it gets lost."""
        ...

    def call(self, work: str, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Call `function(*arguments, threads=…)` once, with all CPUs of one machine; `work` is its name for users."""
        ...

    def lead(self, work: str, function: Callable[..., Any], /, *arguments: Any, memory_bytes: int = 0) -> Any:
        """Call `function(*arguments, crew=…)` once, with workers for it on all CPUs that there are.

        Args:
            work: its name for users.
            function: what to call; what it returns comes here and should be small.
            arguments: what with.
            memory_bytes: that the call itself needs of its machine, without its workers; 0: unknown.
        """
        ...
