"""One run in MLflow: found again or begun, and what is written into it. Every call may wait, and may fail."""

import json
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo_pipeline.addresses import without_secrets
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.plan import Plan
from zoo_pipeline.version import __version__

ADDRESS = "MLFLOW_TRACKING_URI"
SPEC_HASH, PLACE, VERSION = "zoo.spec_hash", "zoo.run", "zoo.version"  # tags by which a run is found again
_LONGEST_VALUE = 500  # characters of a parameter, which MLflow shows in a table
_MOST_METRICS = 1_000  # that MLflow takes at once
# MLflow waits for minutes and tries again; a zoo does not wait for it. What the user has set stays.
_PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it would show a password in the address
}


def check_mlflow() -> None:
    """Refuse what cannot be tracked, before anything is begun.

    Raises:
        ConfigError: MLflow is not installed, or no server is named.
    """
    if find_spec("mlflow") is None:
        raise ConfigError("--track mlflow: needs the package mlflow-skinny or mlflow; pip install mlflow-skinny")
    if not os.environ.get(ADDRESS):
        raise ConfigError(
            f"--track mlflow: {ADDRESS} is not set; name a server, such as export {ADDRESS}=http://127.0.0.1:5000"
        )


class MlflowRun:
    """The MLflow run of one zoo.

    Args:
        plan: of the zoo.
        place: of the run directory.
        resume: go on with the MLflow run of the same specification and place, if there is one.
    """

    def __init__(self, plan: Plan, place: str, *, resume: bool) -> None:
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        self._client = MlflowClient()
        tags = {SPEC_HASH: plan.spec_hash, PLACE: without_secrets(place), VERSION: __version__}
        experiment = self._experiment()
        found = self._find(experiment, tags) if resume else None
        if found is None:
            created = self._client.create_run(experiment, run_name=plan.config.name, tags=tags)
            found = str(created.info.run_id)
        else:
            self._client.update_run(found, status="RUNNING")
        self.run_id = found

    def params(self, values: Mapping[str, str]) -> None:
        """Write what the zoo is; again does no harm."""
        from mlflow.entities import Param

        self._client.log_batch(self.run_id, params=[Param(name, value) for name, value in values.items()])

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers at a step; those that are not finite are left out."""
        self.series({name: [(step, value)] for name, value in values.items()})

    def series(self, values: Mapping[str, list[tuple[int, float]]]) -> None:
        """Write numbers by name, each with its step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        every = [
            Metric(name, float(value), now, step)
            for name, pairs in values.items()
            for step, value in pairs
            if math.isfinite(value)
        ]
        for start in range(0, len(every), _MOST_METRICS):
            self._client.log_batch(self.run_id, metrics=every[start : start + _MOST_METRICS])

    def artifact(self, name: str, content: bytes) -> None:
        """Attach a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(content)
            self._client.log_artifact(self.run_id, str(path))

    def end(self, status: str) -> None:
        """Say that nothing more comes: FINISHED, FAILED or KILLED."""
        self._client.set_terminated(self.run_id, status)

    def _experiment(self) -> str:
        """The experiment that the environment names, as for all of MLflow; made where it is missing."""
        if number := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return number
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id) if found is not None else str(self._client.create_experiment(name))

    def _find(self, experiment: str, tags: dict[str, str]) -> str | None:
        query = f"tags.`{SPEC_HASH}` = '{tags[SPEC_HASH]}'"
        for found in self._client.search_runs([experiment], query, order_by=["attributes.start_time DESC"]):
            if found.data.tags.get(PLACE) == tags[PLACE]:
                return str(found.info.run_id)
        return None


def parameters(plan: Plan) -> dict[str, str]:
    """What the configuration says of the zoo, by name, and how large that makes it; lists and axes as JSON."""
    counts = {"models": plan.models, "groups": len(plan.groups), "dimension": plan.architecture.dimension}
    said = {**dict(_flat(plan.config.scientific())), **counts}
    return {name: str(value)[:_LONGEST_VALUE] for name, value in said.items()}


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and name not in ("grid", "random"):
            yield from _flat(value, f"{before}{name}.")
        elif value is not None:
            yield f"{before}{name}", json.dumps(value) if isinstance(value, (dict, list)) else value
