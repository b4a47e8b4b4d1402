"""Opening an executor by name; ray is imported only when it is the one."""

from collections.abc import Iterator
from contextlib import contextmanager

from zoo_pipeline.config import Resources
from zoo_pipeline.runtime.ending import ended_by_sigterm
from zoo_pipeline.runtime.executor import Executor


@contextmanager
def open_executor(name: str, resources: Resources, ray_address: str | None = None) -> Iterator[Executor]:
    """Open "ray" or "inline"; Ray's session ends with the context, and SIGTERM ends the context.

    Raises:
        ConfigError: the resources asked for are not there.
    """
    if name == "inline":
        from zoo_pipeline.runtime.inline import InlineExecutor

        with ended_by_sigterm():
            yield InlineExecutor(resources)
        return
    from zoo_pipeline.runtime.ray_executor import RayExecutor
    from zoo_pipeline.runtime.session import ray_session

    with ray_session(ray_address, resources), ended_by_sigterm():
        yield RayExecutor(resources)
