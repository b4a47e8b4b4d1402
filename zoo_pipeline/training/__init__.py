"""Training: a group of models at once, on one device, with torch alone."""

from zoo_pipeline.training.calibration import Trial, calibrate
from zoo_pipeline.training.engine import Engine
from zoo_pipeline.training.group import METRICS, Checkpoint, GroupHistory, GroupTraining, train_group
from zoo_pipeline.training.stack import Member

__all__ = [
    "METRICS",
    "Checkpoint",
    "Engine",
    "GroupHistory",
    "GroupTraining",
    "Member",
    "Trial",
    "calibrate",
    "train_group",
]
