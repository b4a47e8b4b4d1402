"""What models train on: one `Dataset` type, one loader by name."""

from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.data.loader import BUILT_IN, load_dataset

__all__ = ["BUILT_IN", "Dataset", "load_dataset"]
