"""The layers of an architecture, for stacked models."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from zoo_pipeline.architecture import CNNS, Architecture
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.training.layers import (
    Activation,
    Columns,
    Convolution,
    CrossEntropy,
    Dropout,
    Features,
    Layer,
    Linear,
    MaxPool,
    Scratch,
)
from zoo_pipeline.training.parameters import Parameters


class Network:
    """Stacked MLPs or CNNs as layers with backward passes of their own.

    Images come as `DeviceData` has them, float32[models or 1, images, …]; 1 where all models share them.

    Attributes:
        parameters: the weights and their gradients.
        loss: what training makes smaller.
        width: floats of the widest intermediate result, per image and model.
    """

    def __init__(
        self, architecture: Architecture, hyperparameters: Sequence[Hyperparameters], device: str, scratch: Scratch
    ) -> None:
        self.parameters = Parameters(architecture.tensors, len(hyperparameters), device)
        self._scratch = scratch
        self.loss = CrossEntropy(architecture.classes, self._scratch, device)
        self._dropouts: list[Dropout] = []
        self._activation = hyperparameters[0].activation
        self._probability = torch.tensor([one.dropout for one in hyperparameters], device=device)
        self._values = self.parameters.tensors(self.parameters.values)
        self._gradients = self.parameters.tensors(self.parameters.gradients)
        self._layers = self._build(architecture)
        convolutions = [layer.width for layer in self._layers if isinstance(layer, Convolution)]
        self.width = max(convolutions or architecture.linear_widths[1:])

    def descend(self, images: Tensor, labels: Tensor, dropout_keys: Tensor) -> None:
        """Set the gradients of every model's mean cross-entropy on a batch of its own.

        Args:
            images: float32[models, images, …], as in `DeviceData`.
            labels: int64[models, images].
            dropout_keys: int32[models], of this step.
        """
        for dropout in self._dropouts:
            dropout.key.copy_(dropout_keys)
        values = images
        for layer in self._layers:
            values = layer.forward(values)
        gradient = self.loss.gradient(values, labels)
        for layer in reversed(self._layers):
            gradient = layer.backward(gradient)

    def logits(self, images: Tensor) -> Tensor:
        """Outputs float32[models, classes, images], in memory that the next call overwrites."""
        values = images
        for layer in self._layers:
            values = layer.infer(values)
        return values

    def _build(self, architecture: Architecture) -> list[Layer]:
        layers: list[Layer] = [Columns()] if architecture.name == "mlp" else []
        channels, height, width = architecture.input_shape
        for number, convolution in enumerate(
            CNNS[architecture.name].convolutions if architecture.name in CNNS else (), start=1
        ):
            name = f"conv{number}"
            layer = Convolution(
                name,
                (height, width),
                self._values,
                self._gradients,
                self._scratch,
                pooled=convolution.pool,
                first=number == 1,
            )
            layers.append(layer)
            channels, height, width = convolution.channels, layer.rows, layer.columns
            if convolution.pool:
                bias = f"{name}.bias"
                pool = MaxPool(f"pool{number}", self._values.get(bias), self._gradients.get(bias), self._scratch)
                layers.append(pool)
                height, width = height // 2, width // 2
            layers += self._behind(name, convolution.dropout)
        if architecture.name in CNNS:
            layers.append(Features(channels, self._scratch))
        last = len(architecture.linear_widths) - 1
        for number, _ in enumerate(pairwise(architecture.linear_widths), start=1):
            name = f"fc{number}"
            first = number == 1 and architecture.name not in CNNS
            layers.append(Linear(name, self._values, self._gradients, self._scratch, first=first))
            if number < last:
                layers += self._behind(name, True)
        return layers

    def _behind(self, name: str, dropout: bool) -> list[Layer]:
        """Activation and dropout behind a layer."""
        layers: list[Layer] = [Activation(f"{name}.activation", self._activation, self._scratch)]
        if dropout and bool((self._probability > 0).any()):
            self._dropouts.append(Dropout(len(self._dropouts), self._probability, self._scratch))
            layers.append(self._dropouts[-1])
        return layers
