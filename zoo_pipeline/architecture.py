"""What a network is, without building it: its tensors' names and shapes follow from a few plain facts.

The plan needs a zoo's dimension and bytes where torch is not at hand; `zoo_pipeline.models` builds the real module
from the same description, and a test holds the two against each other.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import prod

from zoo_pipeline.errors import ConfigError

POOL = 2  # width and stride of every max-pool


@dataclass(frozen=True)
class Convolution:
    """One convolution of a CNN: valid padding, stride 1; then a 2×2 max-pool and dropout where they are set."""

    channels: int
    kernel: int
    pool: bool
    dropout: bool


@dataclass(frozen=True)
class Stack:
    """The convolutions of a CNN and the width of the hidden layer behind them."""

    convolutions: tuple[Convolution, ...]
    hidden: int


# Model Zoos (arXiv 2209.14764): CNN-s has 2,464 parameters on 28×28×1, CNN-l 10,853 on 32×32×3.
CNNS = {
    "cnn-s": Stack(
        (Convolution(8, 5, True, True), Convolution(6, 5, True, True), Convolution(4, 2, False, False)), hidden=20
    ),
    "cnn-l": Stack(
        (Convolution(16, 3, True, True), Convolution(32, 3, True, True), Convolution(15, 3, True, True)), hidden=20
    ),
}
ARCHITECTURES = ("mlp", *CNNS)


@dataclass(frozen=True)
class Architecture:
    """A network, as far as it decides the tensors: what it computes with them (activation, dropout) is said apart.

    Attributes:
        name: one of `ARCHITECTURES`.
        input_shape: channels, height and width of one image.
        classes: number of outputs.
        hidden: widths of the MLP's hidden layers; the CNNs have their own.
        bias: whether linear and convolutional layers have biases.
    """

    name: str
    input_shape: tuple[int, int, int]
    classes: int
    hidden: tuple[int, ...] = ()
    bias: bool = True

    @property
    def flat_features(self) -> int:
        """Inputs of the first linear layer.

        Raises:
            ConfigError: the images are too small for the convolutions.
        """
        channels, height, width = self.input_shape
        if self.name in CNNS:
            for convolution in CNNS[self.name].convolutions:
                channels = convolution.channels
                height, width = (_after(size, convolution) for size in (height, width))
            if min(height, width) < 1:
                _, image_height, image_width = self.input_shape
                raise ConfigError(
                    f"zoo.model.architecture: {self.name} needs images of at least "
                    f"{_smallest(self.name)}×{_smallest(self.name)}, got {image_height}×{image_width}; use mlp"
                )
        return channels * height * width

    @property
    def linear_widths(self) -> tuple[int, ...]:
        """Widths along the linear layers, from the flattened features to the classes."""
        hidden = (CNNS[self.name].hidden,) if self.name in CNNS else self.hidden
        return (self.flat_features, *hidden, self.classes)

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every trainable tensor, in the order of `nn.Module.parameters()`."""
        shapes: dict[str, tuple[int, ...]] = {}
        channels = self.input_shape[0]
        for number, convolution in enumerate(CNNS[self.name].convolutions if self.name in CNNS else (), start=1):
            shapes[f"conv{number}.weight"] = (convolution.channels, channels, convolution.kernel, convolution.kernel)
            shapes[f"conv{number}.bias"] = (convolution.channels,)
            channels = convolution.channels
        widths = self.linear_widths
        for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            shapes[f"fc{number}.weight"] = (outputs, inputs)
            shapes[f"fc{number}.bias"] = (outputs,)
        return {name: shape for name, shape in shapes.items() if self.bias or not name.endswith(".bias")}

    @property
    def buffers(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every float32 buffer, in the order of `nn.Module.buffers()`; no part of the weights."""
        return {}

    @property
    def dimension(self) -> int:
        """Number of trainable parameters, d.

        >>> Architecture("mlp", (1, 4, 4), 4, hidden=(5,), bias=False).dimension
        100
        """
        return sum(prod(shape) for shape in self.tensors.values())


def _after(size: int, convolution: Convolution) -> int:
    """Height or width after one convolution and its pool."""
    size = size - convolution.kernel + 1
    return size // POOL if convolution.pool else size


def _smallest(name: str) -> int:
    """The smallest image side that the convolutions of a CNN leave anything of."""
    size = 1
    for convolution in reversed(CNNS[name].convolutions):
        size = (size * POOL if convolution.pool else size) + convolution.kernel - 1
    return size
