"""ResNet (arXiv 1512.03385) for small images: a 3×3 stem and no max-pool, as in Model Zoos (arXiv 2209.14764)."""

from collections import OrderedDict

from torch import Tensor, nn

from zoo_pipeline.architecture import RESNET_WIDTHS, RESNETS, Architecture


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with BatchNorm, and a shortcut around them; names as torchvision has them."""

    def __init__(self, inputs: int, outputs: int, stride: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if inputs != outputs
            else nn.Identity()
        )
        self.activation = activation()

    def forward(self, values: Tensor) -> Tensor:
        """float32[n, inputs, h, w] to float32[n, outputs, h / stride, w / stride]."""
        inner: Tensor = self.bn2(self.conv2(self.activation(self.bn1(self.conv1(values)))))
        result: Tensor = self.activation(inner + self.downsample(values))
        return result


def build_resnet(architecture: Architecture, activation: type[nn.Module]) -> nn.Sequential:
    """The network of an architecture in `RESNETS`."""
    width = RESNET_WIDTHS[0]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = nn.Conv2d(architecture.input_shape[0], width, 3, padding=1, bias=False)
    layers["bn1"] = nn.BatchNorm2d(width)
    layers["activation"] = activation()
    for stage, (blocks, outputs) in enumerate(zip(RESNETS[architecture.name], RESNET_WIDTHS, strict=True), start=1):
        inner = []
        for number in range(blocks):
            inner.append(BasicBlock(width, outputs, 2 if number == 0 and stage > 1 else 1, activation))
            width = outputs
        layers[f"layer{stage}"] = nn.Sequential(*inner)
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(width, architecture.classes)
    return nn.Sequential(layers)
