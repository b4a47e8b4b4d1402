"""How much a model computes, worked out from its shapes alone: floating point operations and intermediate numbers.

Multiplications and additions count one each; activations, pools and optimisers, a small part, are left out.
"""

from collections.abc import Iterator
from math import prod

from zoo_pipeline.architecture import CNNS, POOL, RESNETS, Architecture

_WIDE = 64  # columns of the matrices that a CNN's convolutions become, where a row has as many


def forward_operations(architecture: Architecture) -> int:
    """Floating point operations of one image through one model.

    >>> forward_operations(Architecture("mlp", (1, 8, 8), 10, hidden=(16,)))  # 2 × (64 × 16 + 16 × 10)
    2368
    """
    weights = {name: prod(shape) for name, shape in architecture.tensors.items() if len(shape) > 1}
    return 2 * sum(size * _area(architecture, name) for name, size in weights.items())


def epoch_operations(architecture: Architecture, train_rows: int, test_rows: int) -> int:
    """Floating point operations of one model-epoch: training, and the evaluation of all images behind it.

    A training step computes three times what a forward pass does: that, the gradient of the weights and that of the
    inputs.

    >>> epoch_operations(Architecture("mlp", (1, 8, 8), 10, hidden=(16,)), 1437, 360)  # 2368 × (3 × 1437 + 1797)
    14463744
    """
    return forward_operations(architecture) * (3 * train_rows + train_rows + test_rows)


def step_floats(architecture: Architecture) -> int:
    """Intermediate numbers of a training step, per image and model: about as many as training keeps in memory."""
    if architecture.name in RESNETS:  # of each convolution its outputs, those normalised, and those activated or added
        return 3 * sum(
            shape[0] * _area(architecture, name) for name, shape in architecture.tensors.items() if len(shape) == 4
        )
    floats = prod(architecture.input_shape)
    for number, (inputs, (height, width)) in enumerate(_maps(architecture)):
        convolution = CNNS[architecture.name].convolutions[number]
        block = min(width, -(-_WIDE // convolution.channels))  # columns of outputs that one product makes
        windows = height * width * convolution.kernel * (block + convolution.kernel - 1) * inputs // block
        outputs = height * width * convolution.channels
        # Windows, and their gradient but of the images; outputs, those pooled and their gradients.
        floats += windows * (2 if number else 1) + 4 * outputs
    # Of every linear layer the outputs, a transposed copy and a gradient.
    return floats + 3 * sum(architecture.linear_widths)


def _area(architecture: Architecture, name: str) -> int:
    """Pixels of the outputs that a tensor of weights makes; 1 for a linear layer's."""
    if name.startswith("fc"):
        return 1
    if architecture.name not in RESNETS:
        height, width = list(_maps(architecture))[int(name.removeprefix("conv").partition(".")[0]) - 1][1]
        return height * width
    halvings = int(name[len("layer")]) - 1 if name.startswith("layer") else 0
    return prod(-(-side // 2**halvings) for side in architecture.input_shape[1:])


def _maps(architecture: Architecture) -> Iterator[tuple[int, tuple[int, int]]]:
    """Of each convolution of a CNN the channels of its inputs, and height and width of its outputs before the pool."""
    channels, height, width = architecture.input_shape
    for convolution in CNNS[architecture.name].convolutions if architecture.name in CNNS else ():
        height, width = height - convolution.kernel + 1, width - convolution.kernel + 1
        yield channels, (height, width)
        channels = convolution.channels
        if convolution.pool:
            height, width = height // POOL, width // POOL
