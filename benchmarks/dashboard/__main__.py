"""Ask every query of docs/operations/grafana-zoo.json of a real Prometheus, which scrapes Ray while two zoos train.

python -m benchmarks.dashboard [--picture FILE]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.dashboard.panels import Panel, ask, read_panels
from benchmarks.dashboard.picture import draw
from benchmarks.dashboard.servers import (
    ENVIRONMENT,
    RATE_WINDOW,
    SCRAPE_EVERY_S,
    prometheus,
    prometheus_version,
    ray_cluster,
)
from benchmarks.machine import hardware

RUNS = {  # the second has more than 10,000 checkpoints, so its analysis goes by shares and actors
    "digits-demo": ["zoo.population.group_size=4", "zoo.training.epochs=100"],
    "tetris-seeds": ["zoo.population.group_size=8", "zoo.training.epochs=80"],
}
QUIET_S = 6.0  # before and after, so that the pictures have an edge


def main() -> int:
    """Train, ask, and print one JSON line last; 1 where a query has no answer or a total is not the run's."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the panels (PNG; needs Chromium)")
    given = parser.parse_args()
    if shutil.which("prometheus") is None:
        print("prometheus: not found; install it (Debian and Ubuntu: apt-get install prometheus)", file=sys.stderr)
        return 2
    panels, began = read_panels(), time.time()
    with tempfile.TemporaryDirectory() as name, ray_cluster() as (ray_address, targets):
        folder = Path(name)
        with prometheus(targets, folder) as address:
            time.sleep(QUIET_S)
            began = time.time() - QUIET_S
            expected = {recipe: _trained(recipe, folder / recipe, ray_address) for recipe in RUNS}
            time.sleep(QUIET_S)
            ended = time.time()
            for target in (target for panel in panels for target in panel.targets):
                ask(address, target, began, ended, SCRAPE_EVERY_S, RATE_WINDOW)
    figures = _held(panels, expected)
    if given.picture is not None:
        figures["picture"] = draw(panels, given.picture.absolute(), SCRAPE_EVERY_S)
    machine: dict[str, Any] = {"prometheus": prometheus_version(), "ray": version("ray"), "machine": hardware("cpu")}
    print(json.dumps({**figures, **machine}))
    return int(bool(figures["without_answer"]) or figures["totals"] != figures["totals_expected"])


def _trained(recipe: str, root: Path, ray_address: str) -> dict[str, int]:
    """Run a recipe, and say what its metrics have to be by what it left."""
    command = [sys.executable, "-m", "zoo_pipeline.cli", "run", recipe, "--out", str(root)]
    command += [word for part in RUNS[recipe] for word in ("--set", part)]
    subprocess.run([*command, "--ray-address", ray_address], env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    spec = json.loads((root / "spec.json").read_text())
    manifest = json.loads((root / "manifest.json").read_text())
    return {
        "model_epochs": spec["models"] * spec["spec"]["training"]["epochs"],
        "groups": len({line["group"] for line in manifest["shards"]}),
    }


def _held(panels: list[Panel], expected: dict[str, dict[str, int]]) -> dict[str, Any]:
    """How many queries were answered, and the totals against what they have to be."""
    targets = [target for panel in panels for target in panel.targets]
    totals = {
        name: round(next(iter(panel.targets[0].answer.values()))[-1][1])
        for panel in panels
        for name, title in (("model_epochs", "Model-epochs"), ("groups", "Groups done"))
        if panel.kind == "stat" and panel.title == title
    }
    return {
        "panels": sum(bool(panel.targets) for panel in panels),
        "queries": len(targets),
        "answered": sum(bool(target.answer) for target in targets),
        "without_answer": [target.query for target in targets if target.expected and not target.answer],
        "needs_gpu": [target.query for target in targets if not target.expected and not target.answer],
        "totals": totals,
        "totals_expected": {name: sum(each[name] for each in expected.values()) for name in ("model_epochs", "groups")},
    }


if __name__ == "__main__":
    sys.exit(main())
