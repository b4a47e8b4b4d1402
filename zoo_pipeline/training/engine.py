"""The engine: how a group is computed. It decides speed, and the last bits of a sum, but never what is trained."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """Choices that a run makes once and every task obeys.

    Attributes:
        threads: torch threads of a training task.
        stack: how many models are trained at once; None: the whole group.
        capture: whether a GPU replays each step as one captured CUDA graph.
    """

    threads: int = 1
    stack: int | None = None
    capture: bool = False
