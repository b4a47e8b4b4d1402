"""The run directory: everything that touches a disk or a bucket (docs/format.md)."""

from zoo_pipeline.store.rundir import RunDirectory

__all__ = ["RunDirectory"]
