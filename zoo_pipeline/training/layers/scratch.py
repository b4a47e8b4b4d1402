"""Memory for intermediate results that is kept between steps."""

from math import prod

import torch
from torch import Tensor


class Scratch:
    """Named buffers that are allocated once and used in every step.

    Fresh memory for every result costs page faults on a CPU, and a captured CUDA graph needs fixed addresses. Views are
    kept, too: with small models, making one takes as long as using it.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._buffers: dict[str, Tensor] = {}
        self._views: dict[tuple[str, tuple[int, ...]], Tensor] = {}
        self._outgrown: list[Tensor] = []

    def get(self, name: str, *shape: int) -> Tensor:
        """A contiguous float32 tensor whose content is whatever was there; smaller shapes reuse the same memory."""
        view = self._views.get((name, shape))
        if view is not None:
            return view
        size = prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            if buffer is not None:
                self._outgrown.append(buffer)  # a graph that was captured before goes on computing there
            buffer = torch.zeros(size, device=self._device)
            self._buffers[name] = buffer
            self._views = {key: kept for key, kept in self._views.items() if key[0] != name}
        view = buffer[:size].view(shape)
        self._views[name, shape] = view
        return view
