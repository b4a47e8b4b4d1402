"""docs/deploy/rayjob.yaml and its image: what Ray's autoscaler makes of it, and what KubeRay would refuse, or a run."""

import re
from typing import Any

import pytest
import yaml
from checkout import DEPLOY, IMAGES, ROOT, WHEEL, planted
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import validate_config
from ray_jobs import IMAGE, job_faults

GROUPS = "spec/rayClusterSpec/workerGroupSpecs"
SPOT, ONDEMAND, CPU = (f"{GROUPS}/{number}" for number in range(3))
CONTAINER = "template/spec/containers/0"


@pytest.fixture
def job() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "rayjob.yaml").read_text())
    return loaded


def autoscaled(job: dict[str, Any]) -> dict[str, Any]:
    """What the autoscaler in the head's pod reads from the cluster that KubeRay makes of the job."""
    cluster = {"metadata": {"name": "zoo", "namespace": "default"}, "spec": job["spec"]["rayClusterSpec"]}
    derived: dict[str, Any] = _derive_autoscaling_config_from_ray_cr(cluster)
    validate_config(derived)
    return derived


def test_rays_autoscaler_reads_the_groups_as_they_are_meant(job: dict[str, Any]) -> None:
    types = autoscaled(job)["available_node_types"]
    assert {name: (each["resources"]["CPU"], each["resources"].get("GPU", 0)) for name, each in types.items()} == {
        "headgroup": (0, 0),
        "gpu-spot": (8, 1),
        "gpu-ondemand": (8, 1),
        "cpu": (30, 0),
    }
    assert sorted(types, key=lambda name: -types[name].get("priority", 0))[:3] == ["gpu-spot", "cpu", "gpu-ondemand"]
    assert types["gpu-spot"]["labels"]["ray.io/market-type"] == "spot"


def test_nothing_is_left_for_kuberay_to_refuse(job: dict[str, Any]) -> None:
    assert job_faults(job) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (f"{SPOT}/{CONTAINER}/resources/limits/cpu", "eight", "eight"),
        (f"{SPOT}/maxReplicas", "12", "'int' and 'str'"),
        (f"{SPOT}/rayStartParams", {"num-gpus": "one"}, "one"),
    ],
)
def test_rays_autoscaler_refuses_a_planted_error(job: dict[str, Any], path: str, value: object, message: str) -> None:
    with pytest.raises((ArithmeticError, TypeError, ValueError), match=message):
        autoscaled(planted(job, path, value))


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("apiVersion", "ray.io/v1alpha1", "not a RayJob of ray.io/v1 but RayJob of ray.io/v1alpha1"),
        ("spec/backofLimit", 3, "spec: unknown key backofLimit"),
        ("spec/rayClusterSpec/authOption", {}, "rayClusterSpec: unknown key authOption"),
        ("spec/rayClusterSpec/autoscalerOptions/idleTimeout", 5, "autoscalerOptions: unknown key idleTimeout"),
        (f"{SPOT}/maxReplica", 3, "gpu-spot: unknown key maxReplica"),
        (f"{SPOT}/template/spec/nodeSelectors", {}, "gpu-spot: unknown key nodeSelectors"),
        (f"{SPOT}/{CONTAINER}/resource", {}, "gpu-spot: unknown key resource"),
        ("spec/rayClusterSpec/headGroupSpec/rayStartParam", {}, "head: unknown key rayStartParam"),
        (f"{CPU}/rayStartParams", {"num-cpus": 30}, "cpu: rayStartParams num-cpus is 30, not text"),
        (
            "spec/rayClusterSpec/headGroupSpec/rayStartParams",
            {},
            "head: rayStartParams have no num-cpus of 0, so it would run tasks",
        ),
        ("spec/entrypoint", "zoo run digits-dmo --out s3://b/r --resume", "entrypoint: no recipe digits-dmo"),
        ("spec/entrypoint", "zoo run digits-demo --out r --resume", "entrypoint: --out r is not absolute"),
        (
            "spec/entrypoint",
            "zoo run digits-demo --out s3://b/r",
            "entrypoint: another attempt would be refused without --resume",
        ),
        (
            "spec/entrypoint",
            "python run.py digits-demo --out s3://b/r",
            "entrypoint: not zoo run or zoo train but python run.py digits-demo --out s3://b/r",
        ),
        (
            "spec/entrypointNumCpus",
            1,
            "entrypoint: with resources of its own it leaves the head, for a node that may be lost",
        ),
        ("spec/submissionMode", "HTTPMode", "submissionMode HTTPMode shows no log of the job"),
        (
            "spec/shutdownAfterJobFinishes",
            False,
            "the cluster would outlive its job: shutdownAfterJobFinishes is not true",
        ),
        ("spec/runtimeEnvYAML", "env_var: {A: '1'}", "runtime_env: unknown key env_var"),
        ("spec/rayClusterSpec/rayVersion", "2.59.0", "rayVersion 2.59.0, expected 2.60.0"),
        ("spec/rayClusterSpec/authOptions", {}, "authOptions {}: no token is asked for"),
        (
            "spec/rayClusterSpec/enableInTreeAutoscaling",
            False,
            "enableInTreeAutoscaling is not true: no worker would ever start",
        ),
        ("spec/rayClusterSpec/autoscalerOptions/version", "v1", "autoscalerOptions: priority needs version v2"),
        (f"{CPU}/{CONTAINER}/image", IMAGES["cpu"], f"cpu: image {IMAGES['cpu']}, expected {IMAGE}"),
        (f"{CPU}/{CONTAINER}/env", [], "cpu: RAY_task_oom_retries is None, not '3'"),
        (
            f"{CPU}/{CONTAINER}/resources/requests/memory",
            "1Gi",
            "cpu: requests and limits of cpu and memory differ, or are not said",
        ),
        (f"{ONDEMAND}/template/spec/tolerations", [], "gpu-ondemand: no toleration of nvidia.com/gpu"),
        (f"{SPOT}/template/spec/tolerations/1", {}, "gpu-spot: no toleration of cloud.google.com/gke-spot"),
        (f"{ONDEMAND}/priority", 10, "gpu-spot: no on-demand group of lower priority with the same resources"),
        (
            f"{ONDEMAND}/{CONTAINER}/resources",
            {},
            "gpu-spot: no on-demand group of lower priority with the same resources",
        ),
        (f"{SPOT}/labels", {}, "gpu-spot: label ray.io/market-type does not tell the market"),
        (f"{CPU}/replicas", 5, "cpu: not minReplicas <= replicas <= maxReplicas but [0, 5, 4]"),
    ],
)
def test_a_planted_error_is_found(job: dict[str, Any], path: str, value: object, fault: str) -> None:
    assert fault in job_faults(planted(job, path, value))


def test_its_environment_is_that_of_a_submitted_job(job: dict[str, Any]) -> None:
    submitted = yaml.safe_load((ROOT / "jobs" / "runtime_env.yaml").read_text())
    assert yaml.safe_load(job["spec"]["runtimeEnvYAML"])["env_vars"] == submitted["env_vars"]


def test_the_image_holds_what_cluster_yaml_sets_up() -> None:
    lines = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^FROM (.+)$", lines, flags=re.MULTILINE) == [IMAGES["gpu"]]
    assert f"-t {IMAGE} ." in lines
    copied = re.findall(r"^COPY (.+) /tmp/$", lines, flags=re.MULTILINE)
    assert copied == [f"constraints.txt dist/{WHEEL}"]
    installed = re.findall(r"pip install --no-cache-dir (.+?)(?: \\)?$", lines, flags=re.MULTILINE)
    setup = yaml.safe_load((ROOT / "cluster.yaml").read_text())["setup_commands"]
    bare = [line.removeprefix("pip install ").replace("--force-reinstall ", "") for line in setup]
    assert installed == [line.replace("~/dist/", "/tmp/").replace("~/", "/tmp/") for line in bare]
