"""The inline executor: this process, one item after another, without Ray. For debuggers, notebooks and tests."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from zoo_pipeline.config import Resources
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.runtime.executor import TRAINING, Outcome
from zoo_pipeline.runtime.metrics import Figures, Meter
from zoo_pipeline.runtime.threads import torch_threads
from zoo_pipeline.trajectories.crew import Alone


class InlineExecutor:
    """Calls functions here and now."""

    name = "inline"

    def __init__(self, resources: Resources) -> None:
        if resources.num_gpus and not torch.cuda.is_available():
            raise ConfigError(f"resources.num_gpus: got {resources.num_gpus}, but torch sees no GPU here; set it to 0")
        self.meter: Meter = Figures()
        self._device = "cuda" if resources.num_gpus else "cpu"

    def map_unordered(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        *shared: Any,
        memory_bytes: int = 0,  # noqa: ARG002  (placed already)
        work: str = TRAINING,  # noqa: ARG002
    ) -> Iterator[Outcome]:
        """Call `function(item, *shared, device=…)` for every item, in order."""
        for item in items:
            try:
                outcome = Outcome(item, value=function(item, *shared, device=self._device))
            except Exception as error:  # one group must not end the others, as on Ray
                outcome = Outcome(item, error=error)
            yield outcome

    def share(self, value: Any, /) -> Any:
        """The value itself."""
        return value

    def keep(self, _work: str, function: Callable[[], Any], /, *, memory_bytes: int = 0) -> Any:  # noqa: ARG002
        """Call `function()`."""
        return function()

    def listening(self, heard: Callable[[Any], None]) -> AbstractContextManager[Callable[[Any], None]]:
        """`heard` itself."""
        return nullcontext(heard)

    def call(self, _work: str, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Call `function(*arguments, threads=…)`."""
        return function(*arguments, threads=os.cpu_count() or 1)

    def lead(
        self,
        _work: str,
        function: Callable[..., Any],
        /,
        *arguments: Any,
        memory_bytes: int = 0,  # noqa: ARG002  (placed already)
    ) -> Any:
        """Call `function(*arguments, crew=…)`, where the crew is this process alone."""
        with torch_threads(os.cpu_count() or 1):
            return function(*arguments, crew=Alone(self._device))
