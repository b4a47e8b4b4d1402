"""Learning from runs: their weights and properties as PyTorch datasets."""

from zoo_pipeline.learning.dataset import ZooDataset as ZooDataset
from zoo_pipeline.learning.stream import ZooStream as ZooStream

__all__ = ["ZooDataset", "ZooStream"]
