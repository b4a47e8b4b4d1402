"""Nonlinearities."""

from collections.abc import Callable

import torch
from torch import Tensor

from zoo_pipeline.training.layers.scratch import Scratch

_SLOPE = 0.01  # of torch's leaky_relu
_aten = torch.ops.aten

# Forward into `out`; backward from the gradient and either the outputs or the inputs, into the gradient itself.
_FORWARD: dict[str, Callable[[Tensor, Tensor], object]] = {
    "tanh": lambda values, out: torch.tanh(values, out=out),
    "sigmoid": lambda values, out: torch.sigmoid(values, out=out),
    "relu": lambda values, out: torch.clamp_min(values, 0, out=out),
    "leaky_relu": lambda values, out: _aten.leaky_relu.out(values, _SLOPE, out=out),
    "gelu": lambda values, out: _aten.gelu.out(values, out=out),
    "silu": lambda values, out: _aten.silu.out(values, out=out),
}
_BACKWARD: dict[str, Callable[[Tensor, Tensor], object]] = {
    "tanh": lambda gradient, outputs: _aten.tanh_backward.grad_input(gradient, outputs, grad_input=gradient),
    "sigmoid": lambda gradient, outputs: _aten.sigmoid_backward.grad_input(gradient, outputs, grad_input=gradient),
    "relu": lambda gradient, outputs: _aten.threshold_backward.grad_input(gradient, outputs, 0, grad_input=gradient),
    "leaky_relu": lambda gradient, outputs: _aten.leaky_relu_backward.grad_input(
        gradient, outputs, _SLOPE, True, grad_input=gradient
    ),
    "gelu": lambda gradient, inputs: _aten.gelu_backward.grad_input(gradient, inputs, grad_input=gradient),
    "silu": lambda gradient, inputs: _aten.silu_backward.grad_input(gradient, inputs, grad_input=gradient),
}
_FROM_INPUTS = ("gelu", "silu")  # the others know their derivative from their outputs, and work in place


class Activation:
    """One of `ACTIVATIONS`, element by element, on tensors of any shape."""

    def __init__(self, name: str, kind: str, scratch: Scratch) -> None:
        self._name = name
        self._kind = kind
        self._scratch = scratch

    def forward(self, values: Tensor) -> Tensor:
        """The nonlinearity of the inputs, which it may overwrite."""
        outputs = self.infer(values)
        self._kept = values if self._kind in _FROM_INPUTS else outputs
        return outputs

    def infer(self, values: Tensor) -> Tensor:
        """As `forward`."""
        apart = self._kind in _FROM_INPUTS
        outputs = self._scratch.get(f"{self._name}.outputs", *values.shape) if apart else values
        _FORWARD[self._kind](values, outputs)
        return outputs

    def backward(self, gradient: Tensor) -> Tensor:
        """The gradient of the inputs, in the memory of that of the outputs."""
        _BACKWARD[self._kind](gradient, self._kept)
        return gradient
