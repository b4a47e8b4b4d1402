"""Training: a group of models at once, on one device, with torch alone."""

from zoo_pipeline.training.group import GroupHistory, train_group

__all__ = ["GroupHistory", "train_group"]
