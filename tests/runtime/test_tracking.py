"""Tracking in MLflow, against a real server where there is one."""

import socket
import sys
from pathlib import Path

import pytest

from tests.conftest import SMALL
from tests.runtime.mlflow_server import mlflow_server
from zoo_pipeline.cli import main
from zoo_pipeline.runtime import account, tracking
from zoo_pipeline.runtime.mlflow_run import MlflowRun
from zoo_pipeline.zoo import Zoo

RUN = ["run", "digits-demo", "--executor", "inline", *(word for change in SMALL for word in ("--set", change))]
MODEL_EPOCHS = 6 * 3


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    pytest.importorskip("mlflow")
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture
def client(server, monkeypatch, request):
    """A client of the server; the test's runs go into an experiment of its name."""
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    return MlflowClient(server)


def runs_of(client, experiment: str) -> list:
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def test_a_zoo_is_one_run_with_its_parameters_metrics_scores_and_files(client, tmp_path, request, capfd):
    out = tmp_path / "run"
    assert main([*RUN, "--out", str(out), "--track", "mlflow"]) == 0
    (tracked,) = runs_of(client, request.node.name)
    assert (tracked.info.status, tracked.info.run_name) == ("FINISHED", "digits-demo")
    zoo = Zoo(str(out))
    told = {name: tracked.data.tags[name] for name in ("zoo.spec_hash", "zoo.run", "zoo.version")}
    versions = zoo.spec["versions"]
    assert told == {
        "zoo.spec_hash": zoo.spec["spec_hash"],
        "zoo.run": str(out),
        "zoo.version": versions["zoo_pipeline"],
    }
    expected = {"dataset": "digits", "model.architecture": "mlp", "model.hidden": "[16]", "training.epochs": "3"}
    expected |= {"training.learning_rate": "0.001", "population.seeds": "6", "models": "6", "dimension": "1210"}
    assert expected.items() <= tracked.data.params.items()

    table = zoo.checkpoints().to_pandas().groupby("epoch")["test_accuracy"]
    for how, values in (("mean", table.mean()), ("min", table.min()), ("max", table.max())):
        history = client.get_metric_history(tracked.info.run_id, f"zoo/test_accuracy_{how}")
        assert {metric.step: metric.value for metric in history} == pytest.approx(values.to_dict(), rel=1e-6)
    metrics = tracked.data.metrics
    assert (metrics["training/model_epochs"], metrics["training/groups_failed"]) == (MODEL_EPOCHS, 0)
    assert (metrics["analysis/ari"], metrics["analysis/trajectories_true"]) == (1.0, 6.0)

    files = {"report.html": "report.html", "spec.json": "spec.json"}
    files["summary.json"] = "analysis/default/summary.json"
    assert {file.path for file in client.list_artifacts(tracked.info.run_id)} == set(files)
    for name, place in files.items():
        fetched = client.download_artifacts(tracked.info.run_id, name, str(tmp_path))
        assert Path(fetched).read_bytes() == (out / place).read_bytes()
    assert tracked.info.run_id in capfd.readouterr().err


def test_resuming_goes_on_in_the_same_run_and_overwriting_begins_another(
    client, tmp_path, request, monkeypatch, fail_group_of
):
    command = [*RUN, "--out", str(tmp_path / "run"), "--track", "mlflow"]
    fail_group_of(2, ValueError("on purpose"))
    assert main(command) == 1
    monkeypatch.undo()  # of the environment, too
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    (failed,) = runs_of(client, request.node.name)
    assert (failed.info.status, failed.data.metrics["training/groups_failed"]) == ("FAILED", 1)
    assert main([*command, "--resume"]) == 0
    (whole,) = runs_of(client, request.node.name)
    assert (whole.info.run_id, whole.info.status) == (failed.info.run_id, "FINISHED")
    assert main([*command, "--overwrite"]) == 0
    assert len(runs_of(client, request.node.name)) == 2
    assert main([*command, "--resume"]) == 0  # with the latest of the two
    latest, earlier = runs_of(client, request.node.name)
    assert (earlier.info.run_id, latest.info.end_time > earlier.info.end_time) == (whole.info.run_id, True)


def test_progress_is_told_while_training_goes_on(client, tmp_path, request, monkeypatch):
    monkeypatch.setattr(account, "BEAT_EVERY_S", 0.05)
    monkeypatch.setattr(tracking, "TOLD_EVERY_S", 0.05)
    longer = ["--set", "zoo.training.epochs=150", "--set", "zoo.population.seeds=24"]
    command = ["train", *RUN[1:], *longer, "--out", str(tmp_path / "run"), "--track", "mlflow"]
    assert main(command) == 0
    (tracked,) = runs_of(client, request.node.name)
    history = client.get_metric_history(tracked.info.run_id, "training/model_epochs")
    assert all(metric.step == metric.value for metric in history)
    assert any(0 < metric.value < 24 * 150 for metric in history)
    assert max(metric.value for metric in history) == 24 * 150


@pytest.fixture
def silent():
    """A port where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@pytest.mark.parametrize("answering", ["not at all", "never"])
def test_a_tracker_that_is_down_costs_a_line_and_shows_no_password(answering, silent, tmp_path, monkeypatch, capfd):
    pytest.importorskip("mlflow")
    port = silent if answering == "never" else closed()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret-word@127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    assert main([*RUN, "--out", str(tmp_path / "run"), "--track", "mlflow"]) == 0
    assert Zoo(str(tmp_path / "run")).complete
    out, err = capfd.readouterr()
    (line,) = [line for line in err.splitlines() if line.startswith("tracking:")]
    assert line.startswith(f"tracking: MLflow at http://***@127.0.0.1:{port}: cannot be told (")
    assert "secret-word" not in out + err


def test_without_the_package_tracking_is_refused_in_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "mlflow", None)  # as if it were not installed
    assert main([*RUN, "--out", str(tmp_path / "run"), "--track", "mlflow"]) == 2
    assert capfd.readouterr().err == (
        "zoo: --track mlflow: needs the package mlflow-skinny or mlflow; pip install mlflow-skinny\n"
    )
    assert not (tmp_path / "run").exists()


def test_without_an_address_tracking_is_refused_in_one_line(tmp_path, monkeypatch, capfd):
    pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main([*RUN, "--out", str(tmp_path / "run"), "--track", "mlflow"]) == 2
    assert capfd.readouterr().err == (
        "zoo: --track mlflow: MLFLOW_TRACKING_URI is not set; "
        "name a server, such as export MLFLOW_TRACKING_URI=http://127.0.0.1:5000\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_server_that_loses_parameters_is_not_asked_for_a_run_again_and_again(client, tmp_path, request, monkeypatch):
    real, lost = MlflowRun.params, []

    def losing(mlflow, values):
        if len(lost) < 3:
            lost.append(values)
            raise ConnectionError("lost")
        real(mlflow, values)

    monkeypatch.setattr(MlflowRun, "params", losing)
    monkeypatch.setattr(tracking, "TOLD_EVERY_S", 0.05)
    longer = ["--set", "zoo.training.epochs=150", "--set", "zoo.population.seeds=24"]
    assert main(["train", *RUN[1:], *longer, "--out", str(tmp_path / "run"), "--track", "mlflow"]) == 0
    (tracked,) = runs_of(client, request.node.name)
    assert (tracked.info.status, len(lost)) == ("FINISHED", 3)
    assert tracked.data.params["model.architecture"] == "mlp"
