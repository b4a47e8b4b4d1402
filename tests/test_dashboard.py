"""docs/operations/grafana-zoo.json has the form that Grafana reads, and asks for the metrics that there are."""

import itertools
import json
import re
from pathlib import Path

import pytest

from zoo_pipeline.runtime.metrics import METRICS

ROOT = Path(__file__).parents[1]
DASHBOARD = json.loads((ROOT / "docs" / "operations" / "grafana-zoo.json").read_text())
DOCS = (ROOT / "docs" / "metrics.md").read_text()
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
METRIC = re.compile(r"\bray_zoo_\w+")


def test_the_dashboard_asks_for_all_our_metrics_and_for_no_others():
    assert {name for query in QUERIES for name in METRIC.findall(query)} == {f"ray_{metric.name}" for metric in METRICS}


def test_queries_tell_apart_by_tags_that_the_metrics_have():
    tags = {f"ray_{metric.name}": {"run", *metric.tags} for metric in METRICS}
    for query in QUERIES:
        asked = {tag.strip() for group in re.findall(r"by \(([^)]*)\)", query) for tag in group.split(",")}
        asked |= set(re.findall(r"(\w+)(?:=~|=)\"", query))
        for name in METRIC.findall(query):
            assert asked <= tags[name], query


def test_counters_are_read_as_counters_and_gauges_as_gauges():
    kinds = {f"ray_{metric.name}": metric.kind for metric in METRICS}
    rated = {name for query in QUERIES for name in re.findall(r"rate\((ray_zoo_\w+)", query)}
    assert rated
    assert {kinds[name] for name in rated} == {"counter"}


def test_every_panel_has_a_title_a_unit_and_a_place_of_its_own():
    assert DASHBOARD["schemaVersion"] >= 36  # from which on a panel names its source as an object
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["type"] in {"timeseries", "stat", "bargauge"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x, y in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]
    assert len(set(cells)) == len(cells), "panels overlap"
    assert {x for x, _ in cells} == set(range(24))


def test_the_source_is_chosen_by_a_variable():
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert set(METRIC.findall(variables["run"]["query"]["query"])) <= {f"ray_{metric.name}" for metric in METRICS}
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_told_of_in_the_docs(metric):
    (line,) = [line for line in DOCS.splitlines() if line.startswith(f"| `ray_{metric.name}`")]
    assert f"| {metric.kind} |" in line
    for tag in metric.tags:
        assert f"`{tag}`" in line


def test_the_queries_of_the_docs_are_of_metrics_that_there_are():
    queries = re.findall(r"```promql\n(.*?)```", DOCS, flags=re.DOTALL)
    assert queries
    for query in queries:
        assert set(METRIC.findall(query)) <= {f"ray_{metric.name}" for metric in METRICS}, query
