"""What every layer can do."""

from typing import Protocol

from torch import Tensor


class Layer(Protocol):
    """One layer of stacked models. A backward pass belongs to the forward pass just before it."""

    def forward(self, values: Tensor) -> Tensor:
        """Outputs for inputs [models, …] of a training step."""
        ...

    def infer(self, values: Tensor) -> Tensor:
        """Outputs outside training; inputs that all models share have a leading dimension of 1."""
        ...

    def backward(self, gradient: Tensor) -> Tensor:
        """Set this layer's parameter gradients, and return the gradient of its inputs; it may overwrite the given."""
        ...
