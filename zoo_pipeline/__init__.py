"""Train model zoos on Ray, keep every checkpoint in Parquet, recover their trajectories through weight space.

Public names are resolved when first used (PEP 562), so that `import zoo_pipeline.training` loads neither pydantic,
pyarrow nor ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo_pipeline.version import __version__

if TYPE_CHECKING:
    from zoo_pipeline.architecture import Architecture as Architecture
    from zoo_pipeline.config import ZooConfig as ZooConfig
    from zoo_pipeline.datasets import load_dataset as load_dataset
    from zoo_pipeline.errors import ZooError as ZooError
    from zoo_pipeline.exports import ExportOptions as ExportOptions
    from zoo_pipeline.exports import export_run as export_run
    from zoo_pipeline.formats import read_state as read_state
    from zoo_pipeline.hyperparameters import Hyperparameters as Hyperparameters
    from zoo_pipeline.learning import ZooDataset as ZooDataset
    from zoo_pipeline.learning import ZooStream as ZooStream
    from zoo_pipeline.models import Layout as Layout
    from zoo_pipeline.recipes import load_config as load_config
    from zoo_pipeline.training import train_group as train_group
    from zoo_pipeline.trajectories import recover as recover
    from zoo_pipeline.zoo import Zoo as Zoo
    from zoo_pipeline.zoo import open as open


_HOMES = {
    "Architecture": "zoo_pipeline.architecture",
    "ExportOptions": "zoo_pipeline.exports",
    "Hyperparameters": "zoo_pipeline.hyperparameters",
    "Layout": "zoo_pipeline.models",
    "Zoo": "zoo_pipeline.zoo",
    "ZooConfig": "zoo_pipeline.config",
    "ZooDataset": "zoo_pipeline.learning",
    "ZooError": "zoo_pipeline.errors",
    "ZooStream": "zoo_pipeline.learning",
    "export_run": "zoo_pipeline.exports",
    "load_config": "zoo_pipeline.recipes",
    "load_dataset": "zoo_pipeline.datasets",
    "open": "zoo_pipeline.zoo",
    "read_state": "zoo_pipeline.formats",
    "recover": "zoo_pipeline.trajectories",
    "train_group": "zoo_pipeline.training",
}
# Whoever imports all names keeps Python's own `open`.
__all__ = [*(name for name in _HOMES if name != "open"), "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'zoo_pipeline' has no attribute {name!r}")
