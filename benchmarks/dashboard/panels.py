"""The panels of the Grafana file, and what a Prometheus server answers to their queries."""

import json
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "docs" / "operations" / "grafana-zoo.json"
NEEDS_GPU = "ray_node_g"  # Ray tells of GPUs only where there are any: ray_node_gpus_…, ray_node_gram_…

Series = list[tuple[float, float]]


@dataclass(frozen=True)
class Target:
    """One query of a panel.

    Attributes:
        query: as the file has it.
        legend: a template of labels in double braces.
        answer: what Prometheus said, the series by their legend.
    """

    query: str
    legend: str
    answer: dict[str, Series] = field(default_factory=dict)

    @property
    def expected(self) -> bool:
        """Whether a cluster without a GPU has an answer."""
        return NEEDS_GPU not in self.query


@dataclass(frozen=True)
class Panel:
    """A panel of the file, or the title of a row of panels, which has no targets."""

    kind: str
    title: str
    unit: str
    place: dict[str, int]
    targets: list[Target]
    stacked: bool


def read_panels(file: Path = FILE) -> list[Panel]:
    """The file's panels, in its order."""
    return [
        Panel(
            kind=panel["type"],
            title=panel["title"],
            unit=panel.get("fieldConfig", {}).get("defaults", {}).get("unit", ""),
            place=panel["gridPos"],
            targets=[Target(target["expr"], target["legendFormat"]) for target in panel.get("targets", [])],
            stacked=_stacked(panel),
        )
        for panel in json.loads(file.read_text())["panels"]
    ]


def ask(address: str, target: Target, began: float, ended: float, step_s: float, window: str) -> None:
    """Have Prometheus answer a query over a time, with Grafana's variables filled in as Grafana does it.

    Args:
        address: of the server.
        target: the query; gets the answer.
        began: seconds since 1970.
        ended: seconds since 1970.
        step_s: between two values.
        window: what `$__rate_interval` is.
    """
    query = target.query.replace("$__rate_interval", window).replace("$run", ".*")
    words = urllib.parse.urlencode({"query": query, "start": began, "end": ended, "step": step_s})
    with urllib.request.urlopen(f"{address}/api/v1/query_range?{words}", timeout=30) as reply:
        document = json.load(reply)
    for series in document["data"]["result"]:
        values = [(float(at), float(value)) for at, value in series["values"]]
        target.answer[_named(target.legend, series["metric"])] = values


def _named(legend: str, labels: dict[str, str]) -> str:
    for label, value in labels.items():
        legend = legend.replace(f"{{{{{label}}}}}", value)
    return legend


def _stacked(panel: dict[str, Any]) -> bool:
    custom = panel.get("fieldConfig", {}).get("defaults", {}).get("custom", {})
    return bool(custom.get("stacking", {}).get("mode") == "normal")
