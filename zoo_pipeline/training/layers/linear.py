"""Fully connected layers."""

import torch
from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch


class Linear:
    """weight float32[models, outputs, inputs] times [models, inputs, images], plus bias float32[models, outputs]."""

    def __init__(
        self,
        name: str,
        values: dict[str, Tensor],
        gradients: dict[str, Tensor],
        scratch: Scratch,
        *,
        first: bool = False,
    ) -> None:
        self._name = name
        self._weight, bias = values[f"{name}.weight"], values.get(f"{name}.bias")
        self._bias = None if bias is None else bias[:, :, None]
        self._transposed = self._weight.mT
        self._weight_gradient, self._bias_gradient = gradients[f"{name}.weight"], gradients.get(f"{name}.bias")
        self._scratch = scratch
        self._first = first  # nothing before it learns, so nobody asks for the gradient of its inputs

    def forward(self, values: Tensor) -> Tensor:
        """Outputs float32[models, outputs, images]."""
        self._inputs = values
        return self.infer(values)

    def infer(self, values: Tensor) -> Tensor:
        """Outputs float32[models, outputs, images]; of images that all models share by one product for all models."""
        models, outputs, inputs = self._weight.shape
        result = self._scratch.get(f"{self._name}.outputs", models, outputs, values.shape[2])
        if values.shape[0] < models:
            torch.mm(self._weight.view(models * outputs, inputs), values[0], out=result.view(models * outputs, -1))
        else:
            torch.bmm(self._weight, values, out=result)
        return result if self._bias is None else result.add_(self._bias)

    def backward(self, gradient: Tensor) -> Tensor:
        """Gradient float32[models, inputs, images] of the inputs."""
        torch.bmm(gradient, self._rows(), out=self._weight_gradient)
        if self._bias_gradient is not None:
            torch.sum(gradient, 2, out=self._bias_gradient)
        if self._first:
            return gradient
        result = self._scratch.get(f"{self._name}.inputs_gradient", *self._inputs.shape)
        return torch.bmm(self._transposed, gradient, out=result)

    def _rows(self) -> Tensor:
        """The inputs as [models, images, inputs]."""
        rows = self._inputs.mT
        if rows.is_contiguous() or rows.is_cuda:
            return rows
        # A CPU's small products with a transposed right side take several times as long as transposing it.
        return self._scratch.get(f"{self._name}.rows", *rows.shape).copy_(rows)
