"""Memory for intermediate results that is kept between steps."""

from math import prod

import torch
from torch import Tensor


class Scratch:
    """Named buffers that are allocated once and used in every step.

    Fresh memory for every result costs page faults on a CPU, and a captured CUDA graph needs fixed addresses.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._buffers: dict[str, Tensor] = {}

    def get(self, name: str, *shape: int) -> Tensor:
        """A contiguous float32 tensor whose content is whatever was there; smaller shapes reuse the same memory."""
        size = prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = torch.zeros(size, device=self._device)
            self._buffers[name] = buffer
        return buffer[:size].view(shape)
