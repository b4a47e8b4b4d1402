"""How activations lie in memory where one kind of layer follows another."""

from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch


class Columns:
    """Images float32[models, images, features] as the columns [models, features, images] that linear layers take."""

    def forward(self, values: Tensor) -> Tensor:
        """A view."""
        return values.mT

    infer = forward

    def backward(self, gradient: Tensor) -> Tensor:
        """Nothing before it learns."""
        return gradient


class Features:
    """[models, images, height, width · channels] as [models, features, images].

    Features come in the order of `torch.flatten` (channel, row, column), because the weights of the linear layer
    behind it are stored for that order.
    """

    def __init__(self, channels: int, scratch: Scratch) -> None:
        self._channels = channels
        self._scratch = scratch

    def forward(self, values: Tensor) -> Tensor:
        """float32[models, features, images]."""
        models, images, height, columns = values.shape
        self._shape = values.shape
        apart = values.view(models, images, height, columns // self._channels, self._channels)
        result = self._scratch.get("features", models, self._channels, height, columns // self._channels, images)
        return result.copy_(apart.permute(0, 4, 2, 3, 1)).view(models, -1, images)

    infer = forward

    def backward(self, gradient: Tensor) -> Tensor:
        """float32[models, images, height, width · channels]."""
        models, images, height, columns = self._shape
        apart = gradient.view(models, self._channels, height, columns // self._channels, images)
        result = self._scratch.get("features.gradient", *self._shape)
        result.view(models, images, height, -1, self._channels).copy_(apart.permute(0, 4, 2, 3, 1))
        return result
