"""The metrics of a run: what is counted, under which names; docs/metrics.md tells users of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class Metric:
    """Something that is counted, or that has a level.

    Attributes:
        name: with its unit; Ray puts `ray_` before it.
        kind: a counter only grows; a gauge has a level, which is gone when the driver ends.
        means: what it says, in a few words.
        tags: what it is told apart by, besides the run.
    """

    name: str
    kind: Literal["counter", "gauge"]
    means: str
    tags: tuple[str, ...] = ()


MODEL_EPOCHS = Metric("zoo_model_epochs_total", "counter", "Epochs trained, times the models of their groups.")
MODEL_EPOCHS_LEFT = Metric("zoo_model_epochs_left", "gauge", "Model-epochs that are still to be trained.")
GROUPS = Metric("zoo_groups", "gauge", "Groups of the plan by what has become of them.", ("state",))
GROUPS_DONE = Metric("zoo_groups_done_total", "counter", "Groups that were trained.")
GROUPS_FAILED = Metric("zoo_groups_failed_total", "counter", "Groups that could not be trained.")
GROUPS_RETRIED = Metric("zoo_groups_retried_total", "counter", "Times that a group was begun again elsewhere.")
WRITTEN_BYTES = Metric("zoo_written_bytes_total", "counter", "Bytes of shards and buffers that were published.")
TASK_SECONDS = Metric("zoo_task_seconds_total", "counter", "Time of the training tasks by stage.", ("stage",))
ANALYSIS_SECONDS = Metric("zoo_analysis_seconds_total", "counter", "Time of analyses by stage.", ("stage",))
ANALYSIS_CHECKPOINTS = Metric(
    "zoo_analysis_checkpoints_total", "counter", "Checkpoints by how far their analysis is.", ("stage",)
)
METRICS = (
    MODEL_EPOCHS,
    MODEL_EPOCHS_LEFT,
    GROUPS,
    GROUPS_DONE,
    GROUPS_FAILED,
    GROUPS_RETRIED,
    WRITTEN_BYTES,
    TASK_SECONDS,
    ANALYSIS_SECONDS,
    ANALYSIS_CHECKPOINTS,
)


class Meter(Protocol):
    """What metrics are told to; called from any thread, and cheap where it is called every second."""

    def add(self, metric: Metric, value: float, *, run: str, **tags: str) -> None:
        """Count so much more; nothing is no more."""
        ...

    def set(self, metric: Metric, value: float, *, run: str, **tags: str) -> None:
        """Say the level of a gauge."""
        ...


class Figures:
    """A meter without Ray: it keeps the figures, for whoever looks.

    Attributes:
        values: by name and by what the tags say, in the order of the tags.
    """

    def __init__(self) -> None:
        self.values: Counter[tuple[str, ...]] = Counter()

    def add(self, metric: Metric, value: float, *, run: str, **tags: str) -> None:
        """As `Meter.add` says."""
        self.values[(metric.name, run, *tags.values())] += value  # type: ignore[assignment]

    def set(self, metric: Metric, value: float, *, run: str, **tags: str) -> None:
        """As `Meter.set` says."""
        self.values[(metric.name, run, *tags.values())] = value  # type: ignore[assignment]


def run_tag(root: str) -> str:
    """What metrics call a run: the last part of its place, since a whole place has too many values.

    Example:
        >>> run_tag("s3://bucket/zoos/mnist-a1/")
        'mnist-a1'
    """
    return root.rstrip("/").rpartition("/")[2]


def count_analysis(meter: Meter, run: str, seconds: Mapping[str, float], checkpoints: int) -> None:
    """Count an analysis that is done, by the seconds of its stages."""
    for stage, value in seconds.items():
        meter.add(ANALYSIS_SECONDS, value, run=run, stage=stage)
    meter.add(ANALYSIS_CHECKPOINTS, checkpoints, run=run, stage="analysed")
