"""The weights of stacked models, their gradients and whatever else has one number per weight."""

from collections.abc import Mapping

import torch
from torch import Tensor

from zoo_pipeline.models import Layout


class Parameters:
    """Stacked models' tensors in one buffer, tensor behind tensor, each float32[models, *shape] and contiguous.

    So a whole optimiser step is a few passes over one buffer, and every tensor is one that matrix kernels like: the
    flat weight vectors of the store, float32[models, d], have the models' tensors apart in memory.

    Attributes:
        models: how many are stacked.
        values: the weights, float32[models · d].
        gradients: of every model's own loss, float32[models · d].
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], models: int, device: str) -> None:
        self.models = models
        self.layout = Layout.of(shapes)
        self.values = torch.zeros(models * self.layout.dimension, device=device)
        self.gradients = torch.zeros_like(self.values)

    def tensors(self, flat: Tensor) -> dict[str, Tensor]:
        """Views [models, *shape] into a buffer of this kind, by the tensors' names."""
        models = self.models
        return {
            tensor.name: flat[models * tensor.offset : models * (tensor.offset + tensor.size)].view(
                models, *tensor.shape
            )
            for tensor in self.layout.tensors
        }

    def matrices(self, flat: Tensor) -> list[Tensor]:
        """Views [models, size] into a buffer of this kind, one per tensor: what broadcasts with numbers per model."""
        return [tensor.view(self.models, -1) for tensor in self.tensors(flat).values()]

    def rows(self, flat: Tensor) -> Tensor:
        """A copy of a buffer as flat vectors float32[models, d] on the CPU, in the order of the layout."""
        joined = torch.cat(self.matrices(flat), dim=1)
        if not joined.is_cuda:
            return joined
        # A GPU copies into pinned memory ten times as fast, and torch keeps the memory for the next copy.
        return torch.empty_like(joined, device="cpu", pin_memory=True).copy_(joined)

    def write(self, flat: Tensor, rows: Tensor) -> None:
        """Set a buffer from flat vectors float32[models, d]."""
        for tensor, matrix in zip(self.layout.tensors, self.matrices(flat), strict=True):
            matrix.copy_(rows[:, tensor.slice])
