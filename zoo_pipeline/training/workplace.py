"""Where the stacks of a group compute, one after another: they share their memory for intermediate results."""

from typing import Any

import torch

from zoo_pipeline.training.capture import CapturedStep
from zoo_pipeline.training.layers import Scratch


class Workplace:
    """Memory on one device that belongs to whichever stack is computing.

    Attributes:
        scratch: for intermediate results; nothing in it outlives a step.
        capture: whether steps are captured as CUDA graphs, which a GPU alone can do.
    """

    def __init__(self, device: str, capture: bool) -> None:
        self.scratch = Scratch(device)
        self.capture = capture and device != "cpu"
        self._pool: Any = torch.cuda.graph_pool_handle() if self.capture else None

    def captured(self) -> CapturedStep | None:
        """A step to be captured, if any is; all share one pool of memory, because they never run at the same time."""
        return CapturedStep(self._pool) if self.capture else None
