"""Metrics of this process through Ray: its node's agent shows them to Prometheus, also when the process is gone."""

from ray.util import metrics

from zoo_pipeline.runtime.metrics import METRICS, Metric


class RayMeter:
    """Passes on what it is told; a Ray session is open. Ray takes a value without waiting for anybody."""

    def __init__(self) -> None:
        kinds = {"counter": metrics.Counter, "gauge": metrics.Gauge}
        self._ours = {
            metric: kinds[metric.kind](metric.name, metric.means, ("run", *metric.tags)) for metric in METRICS
        }

    def add(self, metric: Metric, value: float, *, run: str, **tags: str) -> None:
        """As `Meter.add` says."""
        if value > 0:  # Ray refuses 0
            self._ours[metric].inc(value, {"run": run, **tags})

    def set(self, metric: Metric, value: float, *, run: str, **tags: str) -> None:
        """As `Meter.set` says."""
        self._ours[metric].set(value, {"run": run, **tags})
