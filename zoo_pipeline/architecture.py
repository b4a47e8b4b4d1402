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
class ConvolutionBlock:
    """A convolution (valid padding, stride 1), and a 2×2 max-pool and dropout behind it where they are set."""

    channels: int
    kernel: int
    pool: bool
    dropout: bool


@dataclass(frozen=True)
class CNN:
    """The convolutions of a CNN and the width of the hidden layer behind them."""

    convolutions: tuple[ConvolutionBlock, ...]
    hidden: int


# Model Zoos (arXiv 2209.14764): CNN-s has 2,464 parameters on 28×28×1, CNN-l 10,853 on 32×32×3.
CNNS = {
    "cnn-s": CNN(
        (ConvolutionBlock(8, 5, True, True), ConvolutionBlock(6, 5, True, True), ConvolutionBlock(4, 2, False, False)),
        hidden=20,
    ),
    "cnn-l": CNN(
        (ConvolutionBlock(16, 3, True, True), ConvolutionBlock(32, 3, True, True), ConvolutionBlock(15, 3, True, True)),
        hidden=20,
    ),
}
# Basic blocks per stage; a 3×3 stem without max-pool, for small images (torchvision's names of tensors).
RESNETS = {"resnet-18": (2, 2, 2, 2)}
RESNET_WIDTHS = (64, 128, 256, 512)
ARCHITECTURES = ("mlp", *CNNS, *RESNETS)


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
        if self.name in RESNETS:
            return self._residual
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
        """Name and shape of every buffer that training changes: BatchNorm's running statistics, where there are any.

        Its count of batches is not among them: it is the number of optimiser steps.
        """
        if self.name not in RESNETS:
            return {}
        norms = [name for name in self.tensors if name.endswith(".weight") and len(self.tensors[name]) == 1]
        return {
            name.removesuffix("weight") + statistic: self.tensors[name]
            for name in norms
            for statistic in ("running_mean", "running_var")
        }

    @property
    def ends_in_single_pixels(self) -> bool:
        """Whether the last BatchNorm sees one pixel per image, so that a batch of one image has no variance."""
        halvings = len(RESNET_WIDTHS) - 1
        return self.name in RESNETS and max(self.input_shape[1:]) <= 2**halvings

    @property
    def _residual(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}

        def add(convolution: str, norm: str, outputs: int, inputs: int, kernel: int) -> None:
            shapes[f"{convolution}.weight"] = (outputs, inputs, kernel, kernel)
            shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (outputs,)

        inputs = RESNET_WIDTHS[0]
        add("conv1", "bn1", inputs, self.input_shape[0], 3)
        for stage, (blocks, width) in enumerate(zip(RESNETS[self.name], RESNET_WIDTHS, strict=True), start=1):
            for number in range(blocks):
                block = f"layer{stage}.{number}"
                add(f"{block}.conv1", f"{block}.bn1", width, inputs, 3)
                add(f"{block}.conv2", f"{block}.bn2", width, width, 3)
                if inputs != width:
                    add(f"{block}.downsample.0", f"{block}.downsample.1", width, inputs, 1)
                inputs = width
        shapes["fc.weight"], shapes["fc.bias"] = (self.classes, inputs), (self.classes,)
        return shapes

    @property
    def dimension(self) -> int:
        """Number of trainable parameters, d.

        >>> Architecture("mlp", (1, 4, 4), 4, hidden=(5,), bias=False).dimension
        100
        """
        return sum(prod(shape) for shape in self.tensors.values())


def _after(size: int, convolution: ConvolutionBlock) -> int:
    """Height or width after one convolution and its pool."""
    size = size - convolution.kernel + 1
    return size // POOL if convolution.pool else size


def _smallest(name: str) -> int:
    """The smallest image side that the convolutions of a CNN leave anything of."""
    size = 1
    for convolution in reversed(CNNS[name].convolutions):
        size = (size * POOL if convolution.pool else size) + convolution.kernel - 1
    return size
