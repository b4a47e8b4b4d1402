"""Layers of stacked models as matrix products over all of them, each with its own backward pass.

Autograd over `torch.func.vmap` does the same with several times the passes over memory, and makes grouped convolutions
of stacked ones, which are slow on a CPU. Activations have the models first: [models, features, images] between linear
layers, [models, images, rows, columns · channels] between convolutions.
"""

from zoo_pipeline.training.layers.activation import Activation
from zoo_pipeline.training.layers.convolution import Convolution
from zoo_pipeline.training.layers.dropout import Dropout
from zoo_pipeline.training.layers.layer import Layer
from zoo_pipeline.training.layers.linear import Linear
from zoo_pipeline.training.layers.loss import CrossEntropy
from zoo_pipeline.training.layers.pooling import MaxPool
from zoo_pipeline.training.layers.scratch import Scratch
from zoo_pipeline.training.layers.shaping import Columns, Features

__all__ = [
    "Activation",
    "Columns",
    "Convolution",
    "CrossEntropy",
    "Dropout",
    "Features",
    "Layer",
    "Linear",
    "MaxPool",
    "Scratch",
]
