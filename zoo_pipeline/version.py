"""The version of this package; here, because a run records it also where the package is not installed."""

__version__ = "0.1.0"
