"""Stacked models as plain `nn.Module`s, one after another: for networks whose layers fill a machine by themselves."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo_pipeline.architecture import RESNET_WIDTHS, Architecture
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models import Layout, build
from zoo_pipeline.training.layers import CrossEntropy, Scratch
from zoo_pipeline.training.parameters import Parameters


class Modules:
    """One module per model, whose weights and gradients lie in the buffers of `Parameters`.

    Attributes:
        parameters: the weights and their gradients.
        loss: what evaluation measures.
        width: floats of the widest activation, per image and model.
    """

    def __init__(
        self, architecture: Architecture, hyperparameters: Sequence[Hyperparameters], device: str, scratch: Scratch
    ) -> None:
        self.parameters = Parameters(architecture.tensors, len(hyperparameters), device)
        self.loss = CrossEntropy(architecture.classes, scratch, device)
        _, height, pixels = architecture.input_shape
        self.width = RESNET_WIDTHS[0] * height * pixels  # later stages have as much less area as more channels, or less
        self._buffers = Layout.of(architecture.buffers)
        values = self.parameters.tensors(self.parameters.values)
        gradients = self.parameters.tensors(self.parameters.gradients)
        self._modules = [
            _adopt(build(architecture, one.activation).to(device), values, gradients, model)
            for model, one in enumerate(hyperparameters)
        ]

    def descend(self, images: Tensor, labels: Tensor, dropout_keys: Tensor) -> None:  # noqa: ARG002  (no dropout here)
        """As `Network.descend`."""
        self.parameters.gradients.zero_()
        for module, own_images, own_labels in zip(self._modules, images, labels, strict=True):
            module.train()
            with torch.enable_grad():
                loss = functional.cross_entropy(module(own_images.permute(0, 3, 1, 2)), own_labels)
                torch.autograd.backward(loss)  # adds to the gradients that are there

    def logits(self, images: Tensor) -> Tensor:
        """As `Network.logits`; every model uses the statistics that it has gathered."""
        outputs = []
        for module in self._modules:
            module.eval()
            outputs.append(module(images[0].permute(0, 3, 1, 2)).T)
        return torch.stack(outputs)

    def buffers(self) -> Tensor:
        """The models' buffers, float32[models, b], on the CPU."""
        out = torch.empty(len(self._modules), self._buffers.dimension)
        states = [dict(module.named_buffers()) for module in self._modules]
        stacked = {
            tensor.name: torch.stack([state[tensor.name] for state in states]).cpu() for tensor in self._buffers.tensors
        }
        return self._buffers.flatten(stacked, out)

    def set_buffers(self, rows: Tensor) -> None:
        """Set the models' buffers from float32[models, b]."""
        for module, row in zip(self._modules, rows, strict=True):
            state = dict(module.named_buffers())
            for name, value in self._buffers.unflatten(row).items():
                state[name].copy_(value)


def _adopt(module: nn.Module, values: dict[str, Tensor], gradients: dict[str, Tensor], model: int) -> nn.Module:
    """Let a module compute with, and leave its gradients in, one model's part of the buffers."""
    for name, parameter in module.named_parameters():
        parameter.data = values[name][model]
        parameter.grad = gradients[name][model]
    return module
