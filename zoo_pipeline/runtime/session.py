"""Ray sessions: one machine of our own, or a cluster that is already there."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from zoo_pipeline.config import Resources
from zoo_pipeline.errors import ConfigError

REACHED_WITHIN_S = 15.0
OOM_RETRIES = "3"  # of a task that is ended for want of memory; Ray's default is to begin it again for ever


@contextmanager
def ray_session(address: str | None, resources: Resources) -> Iterator[None]:
    """Connect to Ray, and disconnect (or stop our own one-machine Ray) at the end.

    Args:
        address: "local" for a Ray of our own on this machine, "auto" or host:port for a running cluster; None takes
            the cluster of `RAY_ADDRESS` (which `ray job submit` sets) and else "local".
        resources: what one task needs; checked against what there is where the cluster cannot grow.

    Raises:
        ConfigError: no cluster at the address, or no machine of our own Ray can ever run a task.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    local = address == "local"
    # Ray's one warning that it uses a token, which it makes and finds by itself.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    if not local:
        _check_reachable(address)
    try:
        if local:
            os.environ.setdefault("RAY_task_oom_retries", OOM_RETRIES)
            ray.init(address="local", include_dashboard=False, logging_level="warning", log_to_driver=True)
        else:
            ray.init(address=address, logging_level="warning")
    except (OSError, RuntimeError, ValueError, RayError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"--ray-address {address}: no Ray there that answers ({reason}); start one, use --ray-address local, or if "
            f"it asks for a token, export RAY_AUTH_MODE=token"
        ) from None
    try:
        if local:
            _check_fits(resources)
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse an address at which nobody listens: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto" and the like
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_WITHIN_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--ray-address {address}: nobody listens there ({error}); start Ray there, or use --ray-address local "
            f"(the address may come from RAY_ADDRESS)"
        ) from None


def _check_fits(resources: Resources) -> None:
    available = ray.cluster_resources()
    for key, kind, wanted in (("num_cpus", "CPU", resources.num_cpus), ("num_gpus", "GPU", resources.num_gpus)):
        if wanted > available.get(kind, 0):
            raise ConfigError(
                f"resources.{key}: got {wanted:g}, but this machine has {available.get(kind, 0):g} {kind}s; "
                f"lower it by --set resources.{key}=… or name a cluster by --ray-address"
            )
