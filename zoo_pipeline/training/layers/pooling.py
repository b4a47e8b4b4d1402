"""2×2 max-pooling of what a convolution left side by side."""

import torch
from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch


class MaxPool:
    """The largest of every 2×2 pixels, from `Convolution`'s outputs for pooling.

    These are a view float32[models, 2, 2, images, rows, blocks, n] with the four pixels of every window first, so the
    maximum runs over long stretches of memory. Of equal pixels the first takes the gradient, row by row, as in torch.
    """

    def __init__(self, name: str, bias: Tensor | None, bias_gradient: Tensor | None, scratch: Scratch) -> None:
        self._name = name
        self._bias, self._bias_gradient = bias, bias_gradient
        self._scratch = scratch

    def forward(self, values: Tensor) -> Tensor:
        """Outputs float32[models, images, rows, columns · channels], bias added."""
        self._values = values
        return self.infer(values)

    def infer(self, values: Tensor) -> Tensor:
        """As `forward`."""
        models, _, _, images, rows, blocks, n = values.shape
        upper, lower = self._halves(values)
        torch.maximum(values[:, 0, 0], values[:, 0, 1], out=upper)
        torch.maximum(values[:, 1, 0], values[:, 1, 1], out=lower)
        largest = self._scratch.get(f"{self._name}.largest", *upper.shape)
        torch.maximum(upper, lower, out=largest)
        if self._bias is not None:
            # The largest plus the bias is the largest of those with it, to the last bit, at a quarter of the additions.
            largest.view(models, -1, self._bias.shape[1]).add_(self._bias[:, None])
        return largest.view(models, images, rows, blocks * n)

    def backward(self, gradient: Tensor) -> Tensor:
        """Gradient of the inputs, in their shape and their order in memory."""
        values = self._values
        if self._bias_gradient is not None:
            torch.sum(gradient.view(len(values), -1, self._bias_gradient.shape[1]), 1, out=self._bias_gradient)
        upper, lower = self._halves(values)
        whole = gradient.view(upper.shape)
        result = self._scratch.get(f"{self._name}.inputs_gradient", values.numel())
        result = result.as_strided(values.shape, values.stride())
        taken = self._scratch.get(f"{self._name}.taken", *upper.shape)
        half = self._scratch.get(f"{self._name}.half", *upper.shape)
        torch.mul(whole, torch.ge(upper, lower, out=taken), out=half)
        self._share(half, values[:, 0, 0], upper, result[:, 0], taken)
        torch.sub(whole, half, out=half)
        self._share(half, values[:, 1, 0], lower, result[:, 1], taken)
        return result

    def _halves(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The larger of each row's two pixels; the backward pass reads what the forward pass left there."""
        shape = values[:, 0, 0].shape
        return self._scratch.get(f"{self._name}.upper", *shape), self._scratch.get(f"{self._name}.lower", *shape)

    def _share(self, gradient: Tensor, left: Tensor, larger: Tensor, result: Tensor, taken: Tensor) -> None:
        """Give the gradient to the left pixel where it is the larger one, else to the right one."""
        torch.mul(gradient, torch.ge(left, larger, out=taken), out=result[:, 0])
        torch.sub(gradient, result[:, 0], out=result[:, 1])
