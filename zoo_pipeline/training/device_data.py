"""A dataset on the device that trains, in the order in memory that the first layer reads."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from zoo_pipeline.architecture import CNNS, Architecture
from zoo_pipeline.data.dataset import Dataset


@dataclass(frozen=True)
class DeviceData:
    """What all models of a group share.

    Attributes:
        train_images: float32[rows, features] for an MLP, float32[rows, height, width · channels] for a CNN,
            float32[rows, height, width, channels] for a ResNet; on the device.
        train_labels: int64[rows], on the CPU.
        test_images: as train_images.
        test_labels: int64[rows], on the device.
        classes: number of labels.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: int

    @classmethod
    def of(cls, dataset: Dataset, architecture: Architecture, device: str) -> Self:
        """Copy a dataset to a device."""
        return cls(
            train_images=arranged(torch.tensor(dataset.train_images, device=device), architecture),
            train_labels=torch.tensor(dataset.train_labels),
            test_images=arranged(torch.tensor(dataset.test_images, device=device), architecture),
            test_labels=torch.tensor(dataset.test_labels, device=device),
            classes=dataset.classes,
        )


def arranged(images: Tensor, architecture: Architecture) -> Tensor:
    """Images float32[n, channels, height, width] in the order of `DeviceData.train_images`."""
    if architecture.name == "mlp":
        return images.flatten(1)
    last = images.permute(0, 2, 3, 1).contiguous()
    return last.flatten(2) if architecture.name in CNNS else last
