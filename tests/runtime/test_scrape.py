"""A real cluster is scraped, as Prometheus does it, while a run trains there; and its logs are read."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.running_ray import RunningRay, answer, free_ports, running_ray
from zoo_pipeline.runtime.metrics import METRICS

BIN = Path(sys.executable).parent
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    "RAY_metrics_report_interval_ms": "1000",  # ten times as often as Ray's default
}
PORTS = ("port", "metrics-export-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
ZOO = ["zoo.population={seeds: 24, group_size: 4}", "zoo.training.epochs=20", "resources={stack: 4, threads: 1}"]


@pytest.fixture(scope="module")
def cluster():
    """A cluster that lives as long as this module's tests."""
    with running_ray(ENVIRONMENT, free_ports(PORTS), "--include-dashboard=false") as started:
        started.wait(lambda: bool(_scraped(started, "ray_node_cpu_count")))
        yield started


def _scraped(cluster: RunningRay, prefix: str) -> dict[tuple[str, ...], float]:
    """Values of the metrics of a prefix, by name and by what our tags say."""
    text = answer(f"http://127.0.0.1:{cluster.ports['metrics-export-port']}/metrics") or ""
    return {
        (sample.name, *(sample.labels[tag] for tag in ("run", "state", "stage") if tag in sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(prefix)
    }


@pytest.fixture(scope="module")
def run(cluster, tmp_path_factory):
    """A run on the cluster: where it is, what its driver wrote, and what was scraped meanwhile and afterwards."""
    root = tmp_path_factory.mktemp("scraped") / "night"
    command = [sys.executable, "-m", "zoo_pipeline.cli", "run", "digits-demo", "--out", str(root)]
    command += [word for part in ZOO for word in ("--set", part)]
    command += ["--ray-address", f"127.0.0.1:{cluster.ports['port']}", "--log", str(root.parent / "log.jsonl")]
    environment = {**cluster.environment, "RAY_LOGGING_CONFIG_ENCODING": "JSON", "RAY_DEDUP_LOGS": "0"}
    with (root.parent / "told.txt").open("w+") as told:
        driver = subprocess.Popen(command, env=environment, stdout=told, stderr=told)
        scraped = []
        while driver.poll() is None:
            scraped.append(_scraped(cluster, "ray_zoo_"))
            time.sleep(0.2)
        told.seek(0)
        output = told.read()
    assert driver.returncode == 0, output
    return root, output, [*scraped, _scraped(cluster, "ray_zoo_")]


def test_a_scrape_agrees_with_the_run(run):
    root, _, scraped = run
    last = scraped[-1]
    manifest = json.loads((root / "manifest.json").read_text())
    summary = json.loads((root / "analysis" / "default" / "summary.json").read_text())
    assert last["ray_zoo_model_epochs_total", "night"] == 24 * 20
    assert last["ray_zoo_written_bytes_total", "night"] == sum(line["bytes"] for line in manifest["shards"])
    assert last["ray_zoo_groups_done_total", "night"] == 6
    assert last["ray_zoo_analysis_checkpoints_total", "night", "analysed"] == summary["checkpoints"] == 24 * 21
    for stage, seconds in summary["seconds"].items():
        assert last.get(("ray_zoo_analysis_seconds_total", "night", stage), 0) == pytest.approx(seconds)


def test_a_live_run_is_seen_while_it_goes_on(run):
    live = [values for values in run[2][:-1] if ("ray_zoo_model_epochs_left", "night") in values]
    assert live
    counted = [values.get(("ray_zoo_model_epochs_total", "night"), 0) for values in run[2]]
    assert counted == sorted(counted)
    groups = [
        sum(values.get(("ray_zoo_groups", "night", state), 0) for state in ("waiting", "running", "done"))
        for values in live
    ]
    assert set(groups) == {6}


def test_every_name_that_is_scraped_is_declared(run):
    names = {name for values in run[2] for name, *_ in values}
    declared = {f"ray_{metric.name}" for metric in METRICS}
    assert names <= declared
    assert declared - names == {"ray_zoo_groups_failed_total", "ray_zoo_groups_retried_total"}, "no group failed"


def test_a_task_logs_by_run_group_and_attempt_in_its_worker_too(run):
    root, output, _ = run
    lines = [json.loads(line[line.index("{") :]) for line in output.splitlines() if '"levelname"' in line]
    told = [line for line in lines if line.get("task_name") == "training"]
    assert {line["message"] for line in told} == {"group begun", "shard published"}
    assert {line["run"] for line in told} == {str(root)}
    attempts = {line["group"]: line["attempt"] for line in told}
    assert set(attempts) == set(range(6))
    log = [json.loads(line) for line in (root.parent / "log.jsonl").read_text().splitlines()]
    assert {line["group"]: line["attempt"] for line in log if "group" in line} == attempts


def test_the_cluster_has_what_the_dashboard_asks_of_ray_itself(cluster, run):
    dashboard = (Path(__file__).parents[2] / "docs" / "operations" / "grafana-zoo.json").read_text()
    asked = set(re.findall(r"\bray_(?!zoo_|node_g)\w+", dashboard))  # but for what only nodes with a GPU tell
    assert len(asked) >= 5
    deadline = time.monotonic() + 30
    while asked and time.monotonic() < deadline:  # nodes tell of themselves every few seconds
        asked -= {name for name, *_ in _scraped(cluster, "ray_")}
        time.sleep(0.2)
    assert asked == set()
