"""2×2 max-pooling of what a convolution left side by side."""

import torch
from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch


class MaxPool:
    """The largest of every 2×2 pixels, from `Convolution`'s outputs for pooling.

    These are float32[models, images, rows, 2, blocks, 2, n]: the four pixels of a window are four slices of n
    contiguous numbers, so the maximum runs over whole slices. Of equal pixels the first takes the gradient, row by
    row, as in torch.
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
        models, images, rows, _, blocks, _, n = values.shape
        shape = (models, images, rows, blocks, n)
        upper, lower = self._halves(shape)
        torch.maximum(values[:, :, :, 0, :, 0], values[:, :, :, 0, :, 1], out=upper)
        torch.maximum(values[:, :, :, 1, :, 0], values[:, :, :, 1, :, 1], out=lower)
        largest = self._scratch.get(f"{self._name}.largest", *shape)
        torch.maximum(upper, lower, out=largest)
        outputs = largest.view(models, images, rows, blocks * n)
        if self._bias is None:
            return outputs
        # The largest plus the bias is the largest of those with it, to the last bit, at a quarter of the additions.
        result = self._scratch.get(f"{self._name}.outputs", *outputs.shape)
        per_channel = (models, images, rows, -1, self._bias.shape[1])
        torch.add(outputs.view(per_channel), self._bias.view(models, 1, 1, 1, -1), out=result.view(per_channel))
        return result

    def backward(self, gradient: Tensor) -> Tensor:
        """Gradient of the inputs, in their shape."""
        models, images, rows, _, blocks, _, n = self._values.shape
        if self._bias_gradient is not None:
            torch.sum(gradient.view(models, -1, self._bias_gradient.shape[1]), 1, out=self._bias_gradient)
        shape = (models, images, rows, blocks, n)
        whole = gradient.view(shape)
        upper, lower = self._halves(shape)
        result = self._scratch.get(f"{self._name}.inputs_gradient", *self._values.shape)
        taken = self._scratch.get(f"{self._name}.taken", *shape)
        half = self._scratch.get(f"{self._name}.half", *shape)
        values = self._values
        torch.mul(whole, torch.ge(upper, lower, out=taken), out=half)
        self._share(half, values[:, :, :, 0, :, 0], upper, result[:, :, :, 0, :, 0], result[:, :, :, 0, :, 1], taken)
        torch.sub(whole, half, out=half)
        self._share(half, values[:, :, :, 1, :, 0], lower, result[:, :, :, 1, :, 0], result[:, :, :, 1, :, 1], taken)
        return result

    def _halves(self, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """The larger of each row's two pixels; the backward pass reads what the forward pass left there."""
        return self._scratch.get(f"{self._name}.upper", *shape), self._scratch.get(f"{self._name}.lower", *shape)

    def _share(
        self, gradient: Tensor, left: Tensor, larger: Tensor, to_left: Tensor, to_right: Tensor, taken: Tensor
    ) -> None:
        """Give the gradient to the left pixel where it is the larger one, else to the right one."""
        torch.mul(gradient, torch.ge(left, larger, out=taken), out=to_left)
        torch.sub(gradient, to_left, out=to_right)
