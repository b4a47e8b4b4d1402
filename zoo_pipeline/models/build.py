"""The `nn.Module` of an architecture."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn

from zoo_pipeline.architecture import CNNS, POOL, RESNETS, Architecture
from zoo_pipeline.models.resnet import build_resnet

_ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
}


def build(architecture: Architecture, activation: str = "tanh", dropout: float = 0.0) -> nn.Sequential:
    """Build the network: images float32[n, channels, height, width] in, logits float32[n, classes] out.

    Its weights are torch's own random ones; `initialise` sets them. The parameters' names, shapes and order are
    those of `architecture.tensors`.

    Raises:
        ConfigError: the images are too small for the convolutions.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    nonlinearity = _ACTIVATIONS[activation]
    if architecture.name in RESNETS:
        return build_resnet(architecture, nonlinearity)
    channels = architecture.input_shape[0]
    convolutions = CNNS[architecture.name].convolutions if architecture.name in CNNS else ()
    for number, convolution in enumerate(convolutions, start=1):
        layers[f"conv{number}"] = nn.Conv2d(channels, convolution.channels, convolution.kernel, bias=architecture.bias)
        if convolution.pool:
            layers[f"pool{number}"] = nn.MaxPool2d(POOL)
        layers[f"conv{number}_{activation}"] = nonlinearity()
        if dropout and convolution.dropout:
            layers[f"conv{number}_dropout"] = nn.Dropout(dropout)
        channels = convolution.channels
    layers["flatten"] = nn.Flatten()
    widths = architecture.linear_widths
    for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        layers[f"fc{number}"] = nn.Linear(inputs, outputs, bias=architecture.bias)
        if number < len(widths) - 1:
            layers[f"fc{number}_{activation}"] = nonlinearity()
            if dropout:
                layers[f"fc{number}_dropout"] = nn.Dropout(dropout)
    return nn.Sequential(layers)
