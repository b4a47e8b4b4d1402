"""Networks: building them, initialising them, and laying out their weights in one flat vector."""

from zoo_pipeline.models.build import build
from zoo_pipeline.models.initialise import initialise
from zoo_pipeline.models.layout import Layout, TensorSlice

__all__ = ["Layout", "TensorSlice", "build", "initialise"]
