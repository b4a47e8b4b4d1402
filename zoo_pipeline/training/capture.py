"""A training step as one CUDA graph: a GPU computes small models faster than a CPU can tell it what to do."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

_WARM_UP = 3  # calls before the capture, on a stream of their own, as CUDA's libraries need


@cache
def _warm_up_stream() -> torch.cuda.Stream:
    """One for the whole process: for every stream cuBLAS keeps memory, 32 MiB on a large GPU, and never frees it."""
    return torch.cuda.Stream()  # type: ignore[no-untyped-call, no-any-return, unused-ignore]


class CapturedStep:
    """Calls a function of tensors as it is a few times, then captures it, and from then on replays it.

    The function has to be the same at every call, and to read nothing but its arguments, always of the same shapes, and
    tensors that stay where they are. Every call does its work exactly once. The function is not kept: its object owns
    this one, and a circle of the two would keep a GPU's memory until the garbage is collected.
    """

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._calls = 0
        self._stream = _warm_up_stream()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []

    def __call__(self, function: Callable[..., None], *inputs: Tensor) -> None:
        """Do the function's work on these inputs."""
        self._calls += 1
        if self._calls <= _WARM_UP:
            self._stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self._stream):
                function(*inputs)
            torch.cuda.current_stream().wait_stream(self._stream)
            return
        if self._graph is None:
            self._inputs = [tensor.clone() for tensor in inputs]
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, pool=self._pool):  # records, computes nothing
                function(*self._inputs)
        for kept, tensor in zip(self._inputs, inputs, strict=True):
            kept.copy_(tensor)
        self._graph.replay()
