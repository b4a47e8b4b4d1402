"""cluster.yaml passes what `ray up` checks before it touches a cloud, and what Ray leaves for EC2 to refuse.

Ray's own check knows the schema of the file but not what stands inside `provider` and `node_config`; `faults` below
does. Each rule is shown to bite by an error planted in the real file.
"""

import copy
import re
from typing import Any

import pytest
import yaml
from checkout import IMAGES, ROOT, planted
from jsonschema import ValidationError
from launching import launch_faults
from ray.autoscaler._private.util import prepare_config, validate_config

REGION = re.compile(
    r"(af|ap|ca|eu|il|me|mx|sa|us)-(gov-)?(north|south|east|west|central|northeast|southeast|northwest)-\d"
)
HARDWARE = {"m5.2xlarge": (8, 0), "g5.2xlarge": (8, 1), "r6i.8xlarge": (32, 0)}  # vCPUs, GPUs
PROVIDER_KEYS = {"type", "region", "availability_zone", "cache_stopped_nodes"}
NODE_KEYS = {"InstanceType", "InstanceMarketOptions", "ImageId", "IamInstanceProfile", "BlockDeviceMappings"}


def faults(config: dict[str, Any]) -> list[str]:
    """What Ray's check lets pass and EC2, or a running job, would not."""
    provider, types, head = config["provider"], config["available_node_types"], config["head_node_type"]
    found = [f"provider: unknown key {key}" for key in sorted(provider.keys() - PROVIDER_KEYS)]
    if not REGION.fullmatch(str(provider.get("region"))):
        found.append(f"provider: unknown region {provider.get('region')}")
    for zone in str(provider.get("availability_zone")).split(","):
        if not re.fullmatch(re.escape(str(provider.get("region"))) + "[a-z]", zone):
            found.append(f"provider: zone {zone} outside the region")
    for name, node_type in types.items():
        found += [f"{name}: {fault}" for fault in _node_faults(node_type, is_head=name == head)]
        if _is_spot(node_type) and not any(_is_fallback(other, node_type) for other in types.values()):
            found.append(f"{name}: no on-demand type of lower priority with the same resources")
    for image, expected in (("head_image", IMAGES["cpu"]), ("worker_image", IMAGES["gpu"])):
        if config["docker"][image] != expected:
            found.append(f"docker: {image} is not {expected}")
    return found + launch_faults(config)


def _node_faults(node_type: dict[str, Any], is_head: bool) -> list[str]:
    node = node_type["node_config"]
    found = [f"unknown key {key}" for key in sorted(node.keys() - NODE_KEYS)]
    if node.get("InstanceType") not in HARDWARE:
        return [*found, f"unknown InstanceType {node.get('InstanceType')}"]
    cpus, gpus = HARDWARE[node["InstanceType"]]
    expected = {"CPU": 0} if is_head else {"CPU": cpus} | ({"GPU": gpus} if gpus else {})
    if node_type["resources"] != expected:
        found.append(f"resources {node_type['resources']}, but {node['InstanceType']} should offer {expected}")
    market = node.get("InstanceMarketOptions", {"MarketType": None})
    if set(market) != {"MarketType"} or market["MarketType"] not in (None, "spot"):
        found.append(f"unknown MarketType in {market}")
    if is_head and _is_spot(node_type):
        found.append("the head must not be a spot instance: the cluster dies with it")
    if not is_head and node_type.get("labels", {}).get("ray.io/market-type") != (
        "spot" if _is_spot(node_type) else "on-demand"
    ):
        found.append("label ray.io/market-type does not tell the market")
    return found


def _is_spot(node_type: dict[str, Any]) -> bool:
    return "InstanceMarketOptions" in node_type["node_config"]


def _is_fallback(other: dict[str, Any], spot: dict[str, Any]) -> bool:
    return (
        not _is_spot(other)
        and other["resources"] == spot["resources"]
        and other.get("priority", 0) < spot.get("priority", 0)
    )


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return loaded


def test_ray_accepts_the_file(config: dict[str, Any]) -> None:
    prepared = prepare_config(config)
    validate_config(prepared)
    assert prepared["available_node_types"]["gpu_spot"]["max_workers"] == 12


def test_nothing_is_left_for_ec2_to_refuse(config: dict[str, Any]) -> None:
    assert faults(config) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("idle_timeout_minuts", 5, "idle_timeout_minuts"),
        ("max_workers", "16", "'16' is not of type 'integer'"),
        ("available_node_types/gpu_spot/max_worker", 3, "max_worker"),
        ("available_node_types/gpu_spot/resources/GPU", 0.5, "0.5 is not of type 'integer'"),
        ("head_node_type", "haed", "head_node_type"),
        ("available_node_types/gpu_spot/min_workers", 17, "min_workers"),
    ],
)
def test_ray_refuses_a_planted_error(config: dict[str, Any], path: str, value: object, message: str) -> None:
    with pytest.raises((ValidationError, ValueError), match=re.escape(message)):
        validate_config(prepare_config(planted(config, path, value)))


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("provider/region", "us-wset-2", "provider: unknown region us-wset-2"),
        ("provider/availability_zone", "us-west-2a,us-east-1b", "provider: zone us-east-1b outside the region"),
        ("provider/avaliability_zone", "us-west-2a", "provider: unknown key avaliability_zone"),
        ("available_node_types/cpu/node_config/InstanceType", "r6i.8xlrage", "cpu: unknown InstanceType r6i.8xlrage"),
        ("available_node_types/cpu/node_config/InstanceTyp", "r6i.8xlarge", "cpu: unknown key InstanceTyp"),
        (
            "available_node_types/gpu_spot/node_config/InstanceMarketOptions/MarketType",
            "spto",
            "gpu_spot: unknown MarketType in {'MarketType': 'spto'}",
        ),
        (
            "available_node_types/cpu/resources/GPU",
            1,
            "cpu: resources {'CPU': 32, 'GPU': 1}, but r6i.8xlarge should offer {'CPU': 32}",
        ),
        (
            "available_node_types/head/resources/CPU",
            8,
            "head: resources {'CPU': 8}, but m5.2xlarge should offer {'CPU': 0}",
        ),
        (
            "available_node_types/head/node_config/InstanceMarketOptions",
            {"MarketType": "spot"},
            "head: the head must not be a spot instance: the cluster dies with it",
        ),
        (
            "available_node_types/gpu_ondemand/priority",
            10,
            "gpu_spot: no on-demand type of lower priority with the same resources",
        ),
        (
            "available_node_types/gpu_ondemand/labels",
            {"ray.io/market-type": "spot"},
            "gpu_ondemand: label ray.io/market-type does not tell the market",
        ),
        (
            "docker/worker_image",
            "rayproject/ray:2.59.0-py311-gpu",
            f"docker: worker_image is not {IMAGES['gpu']}",
        ),
    ],
)
def test_a_planted_error_that_ray_accepts_is_found(
    config: dict[str, Any], path: str, value: object, fault: str
) -> None:
    wrong = planted(config, path, value)
    validate_config(prepare_config(copy.deepcopy(wrong)))
    assert fault in faults(wrong)
