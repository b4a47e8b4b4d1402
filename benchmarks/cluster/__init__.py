"""Benchmarks of what a cluster asks of the driver and of Ray."""
