"""Faults of a RayJob: keys that KubeRay's schema does not have, and what it has but a run cannot live with."""

import shlex
from typing import Any

import yaml
from checkout import ENVIRONMENT, PINS
from runtime_environment import runtime_faults

from zoo_pipeline.recipes import recipe_names
from zoo_pipeline.version import __version__

IMAGE = f"registry.example.com/zoo-pipeline:{__version__}-ray{PINS['ray']}"
TOP = {"apiVersion", "kind", "metadata", "spec"}
JOB = {  # ray.io/v1, as are the next
    *("activeDeadlineSeconds", "backoffLimit", "clusterSelector", "deletionStrategy", "entrypoint", "jobId"),
    *("entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "managedBy", "metadata"),
    *("preRunningDeadlineSeconds", "rayClusterSpec", "runtimeEnvYAML", "shutdownAfterJobFinishes", "submissionMode"),
    *("submitterConfig", "submitterPodTemplate", "suspend", "ttlSecondsAfterFinished"),
}
CLUSTER = {
    *("rayVersion", "authOptions", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec"),
    "workerGroupSpecs",
}
AUTOSCALER = {"version", "idleTimeoutSeconds", "upscalingMode", "resources", "env"}
HEAD = {"rayStartParams", "template", "serviceType", "labels", "resources"}
WORKERS = {
    *("groupName", "idleTimeoutSeconds", "labels", "maxReplicas", "minReplicas", "numOfHosts", "priority", "replicas"),
    *("rayStartParams", "resources", "scaleStrategy", "suspend", "template"),
}
POD = {"containers", "nodeSelector", "tolerations", "serviceAccountName"}
CONTAINER = {"name", "image", "env", "envFrom", "resources"}
GPU = "nvidia.com/gpu"


def job_faults(job: dict[str, Any]) -> list[str]:
    """What is wrong with a RayJob, a line each."""
    spec = job["spec"]
    cluster = spec["rayClusterSpec"]
    found = [*_unknown("", job, TOP), *_unknown("spec", spec, JOB), *_unknown("rayClusterSpec", cluster, CLUSTER)]
    found += _unknown("autoscalerOptions", cluster.get("autoscalerOptions", {}), AUTOSCALER)
    if (job.get("apiVersion"), job.get("kind")) != ("ray.io/v1", "RayJob"):
        found.append(f"not a RayJob of ray.io/v1 but {job.get('kind')} of {job.get('apiVersion')}")
    found += [*_submission_faults(spec), *_cluster_faults(cluster)]
    found += _unknown("head", cluster["headGroupSpec"], HEAD) + _pod_faults("head", cluster["headGroupSpec"])
    if cluster["headGroupSpec"]["rayStartParams"].get("num-cpus") != "0":
        found.append("head: rayStartParams have no num-cpus of 0, so it would run tasks")
    for group in cluster["workerGroupSpecs"]:
        name = group.get("groupName")
        found += [*_unknown(name, group, WORKERS), *_pod_faults(name, group), *_size_faults(name, group)]
        if is_spot(group) and not any(_is_fallback(other, group) for other in cluster["workerGroupSpecs"]):
            found.append(f"{name}: no on-demand group of lower priority with the same resources")
        if group.get("labels", {}).get("ray.io/market-type") != ("spot" if is_spot(group) else "on-demand"):
            found.append(f"{name}: label ray.io/market-type does not tell the market")
    return found


def is_spot(group: dict[str, Any]) -> bool:
    """Whether pods of the group go to spot nodes alone."""
    return "cloud.google.com/gke-spot" in group["template"]["spec"].get("nodeSelector", {})


def _is_fallback(other: dict[str, Any], spot: dict[str, Any]) -> bool:
    return (
        not is_spot(other)
        and _container(other)["resources"] == _container(spot)["resources"]
        and other.get("priority", 0) < spot.get("priority", 0)
    )


def _container(group: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = group["template"]["spec"]["containers"][0]
    return container


def _unknown(where: str, part: dict[str, Any], known: set[str]) -> list[str]:
    return [f"{where}: unknown key {key}" for key in sorted(part.keys() - known)]


def _submission_faults(spec: dict[str, Any]) -> list[str]:
    command, recipe, *options = shlex.split(spec["entrypoint"].removeprefix("zoo "))
    found = []
    if not spec["entrypoint"].startswith("zoo ") or command not in ("run", "train"):
        found.append(f"entrypoint: not zoo run or zoo train but {spec['entrypoint']}")
    elif recipe not in recipe_names():
        found.append(f"entrypoint: no recipe {recipe}")
    out = options[options.index("--out") + 1] if "--out" in options else ""
    if not out.startswith(("/", "s3://", "gs://")):
        found.append(f"entrypoint: --out {out} is not absolute")
    if spec.get("backoffLimit", 0) > 0 and "--resume" not in options:
        found.append("entrypoint: another attempt would be refused without --resume")
    if spec.get("submissionMode") != "K8sJobMode":
        found.append(f"submissionMode {spec.get('submissionMode')} shows no log of the job")
    if not spec.get("shutdownAfterJobFinishes"):
        found.append("the cluster would outlive its job: shutdownAfterJobFinishes is not true")
    if {"entrypointNumCpus", "entrypointNumGpus", "entrypointResources"} & spec.keys():
        found.append("entrypoint: with resources of its own it leaves the head, for a node that may be lost")
    return found + runtime_faults(yaml.safe_load(spec.get("runtimeEnvYAML", "{}")))


def _cluster_faults(cluster: dict[str, Any]) -> list[str]:
    found = []
    if cluster.get("rayVersion") != PINS["ray"]:
        found.append(f"rayVersion {cluster.get('rayVersion')}, expected {PINS['ray']}")
    if cluster.get("authOptions") != {"mode": ENVIRONMENT["RAY_AUTH_MODE"]}:
        found.append(f"authOptions {cluster.get('authOptions')}: no token is asked for")
    if cluster.get("enableInTreeAutoscaling") is not True:
        found.append("enableInTreeAutoscaling is not true: no worker would ever start")
    if cluster.get("autoscalerOptions", {}).get("version") != "v2":
        found.append("autoscalerOptions: priority needs version v2")
    return found


def _pod_faults(name: str, group: dict[str, Any]) -> list[str]:
    pod, container = group["template"]["spec"], _container(group)
    found = [*_unknown(name, pod, POD), *_unknown(name, container, CONTAINER)]
    for key, value in group["rayStartParams"].items():
        if not isinstance(value, str):
            found.append(f"{name}: rayStartParams {key} is {value!r}, not text")
    if container.get("image") != IMAGE:
        found.append(f"{name}: image {container.get('image')}, expected {IMAGE}")
    given = {each["name"]: each.get("value") for each in container.get("env", [])}
    expected = ENVIRONMENT["RAY_task_oom_retries"]
    if given.get("RAY_task_oom_retries") != expected:
        found.append(f"{name}: RAY_task_oom_retries is {given.get('RAY_task_oom_retries')!r}, not {expected!r}")
    resources = container.get("resources", {})
    if resources.get("requests") != resources.get("limits") or not resources.get("limits", {}).keys() >= {
        "cpu",
        "memory",
    }:
        found.append(f"{name}: requests and limits of cpu and memory differ, or are not said")
    tolerated = {each.get("key") for each in pod.get("tolerations", [])}
    needed = {GPU} & resources.get("limits", {}).keys() | pod.get("nodeSelector", {}).keys()
    found += [f"{name}: no toleration of {key}" for key in sorted(needed - tolerated)]
    return found


def _size_faults(name: str, group: dict[str, Any]) -> list[str]:
    sizes = [group.get(key) for key in ("minReplicas", "replicas", "maxReplicas")]
    if {type(size) for size in sizes} != {int} or sizes != sorted(sizes):
        return [f"{name}: not minReplicas <= replicas <= maxReplicas but {sizes}"]
    return []
