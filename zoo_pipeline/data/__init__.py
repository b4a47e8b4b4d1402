"""What models train on: one `Dataset` type, one loader by name or path."""

from zoo_pipeline.data.built_in import BUILT_IN
from zoo_pipeline.data.dataset import Dataset
from zoo_pipeline.data.loader import facts_of, load_dataset

__all__ = ["BUILT_IN", "Dataset", "facts_of", "load_dataset"]
