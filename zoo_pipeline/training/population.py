"""Several models of one architecture as stacked tensors: one leading dimension more than a single model."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models import Layout, build, initialise
from zoo_pipeline.training.randomness import initialisation_generator


class Population:
    """Stacked models on one device.

    Attributes:
        parameters: every tensor of the architecture, float32[models, *shape], requiring gradients.
    """

    def __init__(
        self, architecture: Architecture, hyperparameters: Hyperparameters, seeds: Sequence[int], device: str
    ) -> None:
        start = hyperparameters.initialisation
        states = [initialise(architecture, start, initialisation_generator(seed)) for seed in seeds]
        self.models = len(seeds)
        self.parameters = {
            name: torch.stack([state[name] for state in states]).to(device).requires_grad_()
            for name in architecture.tensors
        }
        self._layout = Layout.of(architecture.tensors)
        self._module = build(architecture, hyperparameters.activation).to(device)

    def logits(self, images: Tensor, shared: bool = False) -> Tensor:
        """Outputs float32[models, n, classes] for images [models, n, c, h, w], or [n, c, h, w] where `shared`."""
        if self.models == 1:  # the same sums without vmap, whose grouped convolutions are slow on a CPU
            parameters = {name: _channels_last(tensor[0]) for name, tensor in self.parameters.items()}
            only = images if shared else images[0]
            return self._call(parameters, only)[None]
        logits: Tensor = vmap(self._call, in_dims=(0, None if shared else 0))(self.parameters, images)
        return logits

    def _call(self, parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        logits: Tensor = functional_call(self._module, parameters, (images,))
        return logits

    @torch.no_grad()
    def weights(self) -> Tensor:
        """The flat weights of all models, float32[models, d], on the CPU."""
        return self._layout.flatten(
            {name: tensor.detach().cpu() for name, tensor in self.parameters.items()},
            out=torch.empty(self.models, self._layout.dimension),
        )


def _channels_last(tensor: Tensor) -> Tensor:
    """Convolution kernels in the memory order that a CPU convolves and pools faster in; others as they are."""
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor
