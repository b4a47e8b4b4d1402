"""What models train on: one `Dataset` type, one loader by name."""

from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.data.loader import BUILT_IN, facts_of, load_dataset

__all__ = ["BUILT_IN", "Dataset", "facts_of", "load_dataset"]
