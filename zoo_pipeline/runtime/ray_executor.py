"""The Ray executor: one task per item, a bounded window of them, small results."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import ray
from ray.exceptions import RayError

from zoo_pipeline.config import Resources
from zoo_pipeline.runtime.aggregate import aggregate_actors
from zoo_pipeline.runtime.executor import TRAINING, Outcome
from zoo_pipeline.runtime.mailbox import mailbox
from zoo_pipeline.runtime.metrics import Meter
from zoo_pipeline.runtime.pace import Pace
from zoo_pipeline.runtime.progress import LINE_EVERY_S, tell_line
from zoo_pipeline.runtime.ray_meter import RayMeter
from zoo_pipeline.runtime.ray_words import traceback_text, unfinished
from zoo_pipeline.store.options import StorageOptions, storage_options, use_storage_options

WINDOW_PER_SLOT = 2  # tasks submitted per task that can run, so that no worker waits for the driver
LEAST_WINDOW = 256  # an autoscaling cluster starts with no worker and grows by what it sees waiting
GPU_CALLS_PER_WORKER = 20  # Ray's default of one pays torch's start and CUDA's for every group
MAX_RETRIES = 8  # of a task whose worker or node died; an error that the task itself raises is not retried
POLL_S = 10.0


class RayExecutor:
    """Calls functions in Ray tasks of the session that is open."""

    name = "ray"

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self.meter: Meter = RayMeter()

    def map_unordered(
        self,
        function: Callable[..., Any],
        items: Sequence[Any],
        *shared: Any,
        memory_bytes: int = 0,
        work: str = TRAINING,
    ) -> Iterator[Outcome]:
        """Call `function(item, *shared, device=…)` in a task per item; shared values go to the object store once.

        Tasks are packed onto few nodes, as is Ray's default, so that others are idle and can be given back.
        """
        gpus = self._resources.num_gpus
        task = ray.remote(
            num_cpus=self._resources.num_cpus,
            num_gpus=gpus,
            max_calls=GPU_CALLS_PER_WORKER if gpus else 0,
            max_retries=MAX_RETRIES,
            memory=_granted(memory_bytes, self._resources.num_cpus, gpus),
        )(_on_device).options(name=work)
        storage = storage_options()
        waited = Pace(LINE_EVERY_S)
        references = [value if isinstance(value, ray.ObjectRef) else ray.put(value) for value in shared]
        waiting = list(reversed(items))
        pending: dict[Any, Any] = {}
        try:
            while waiting or pending:
                window = self._window() if waiting else 0
                while waiting and len(pending) < window:
                    item = waiting.pop()
                    pending[task.remote(function, storage, item, *references)] = item
                ready, _ = ray.wait(list(pending), num_returns=1, timeout=POLL_S)
                if not ready and waited.due() and not _fit(self._resources.num_cpus, gpus):
                    tell_line(work, _waiting(self._resources.num_cpus, gpus))
                for reference in ready:
                    yield _outcome(pending.pop(reference), reference, work)
        except KeyboardInterrupt:
            # This process ends, and its tasks with it. Ray may abort where one ends while it is cancelled.
            pending.clear()
            raise
        finally:
            for reference in pending:  # only where the caller stopped early
                ray.cancel(reference, force=True)

    def _window(self) -> int:
        """How many tasks to have submitted, by the size that the cluster has now."""
        total = ray.cluster_resources()
        slots = total.get("CPU", 0) / self._resources.num_cpus
        if self._resources.num_gpus:
            slots = min(slots, total.get("GPU", 0) / self._resources.num_gpus)
        return max(LEAST_WINDOW, int(WINDOW_PER_SLOT * slots))

    def share(self, value: Any, /) -> Any:
        """A reference to the value in the object store."""
        return ray.put(value)

    def keep(self, work: str, function: Callable[[], Any], /, *, memory_bytes: int = 0) -> Any:
        """A reference to what `function()` returns in a task; where it gets lost, the task is run again."""
        task = ray.remote(num_cpus=1, max_retries=MAX_RETRIES, memory=_granted(memory_bytes, 1, 0), num_returns=2)(
            _kept
        )
        done, kept = task.options(name=work).remote(function, storage_options())
        waited = Pace(LINE_EVERY_S)
        while not ray.wait([done], timeout=POLL_S)[0]:
            if waited.due() and not _fit(1, 0):
                tell_line(work, _waiting(1, 0))
        _value(done, work)
        return kept

    def listening(self, heard: Callable[[Any], None]) -> AbstractContextManager[Callable[[Any], None]]:
        """A function for tasks; `heard` gets, in a thread of this process, what they give it."""
        return mailbox(heard)

    def call(self, work: str, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Call `function(*arguments, threads=…)` in one task that takes all CPUs of the largest machine."""
        cpus = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
        task = ray.remote(num_cpus=max(1, cpus), max_retries=MAX_RETRIES)(_with_threads).options(name=work)
        return _value(task.remote(function, storage_options(), arguments), work)

    def lead(self, work: str, function: Callable[..., Any], /, *arguments: Any, memory_bytes: int = 0) -> Any:
        """Call `function(*arguments, crew=…)` in a task; the crew are aggregate actors, one for each CPU there is."""
        task = ray.remote(num_cpus=1, max_retries=MAX_RETRIES, memory=_granted(memory_bytes, 1, 0))(_with_crew)
        return _value(task.options(name=work).remote(function, storage_options(), arguments), work)


def _fit(cpus: float, gpus: float) -> list[dict[str, Any]]:
    """The resources of the machines that can run a task."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [each for each in machines if each.get("CPU", 0) >= cpus and each.get("GPU", 0) >= gpus]


def _granted(memory_bytes: int, cpus: float, gpus: float) -> int:
    """As much memory as a task can ask for: more than any node has would be waited for without end."""
    memory = [machine.get("memory", 0) for machine in _fit(cpus, gpus)]
    return int(min(memory_bytes, max(memory, default=memory_bytes)))  # no such node yet: the cluster grows


def _waiting(cpus: float, gpus: float) -> str:
    wanted = " and ".join(f"{number:g} {kind}" for kind, number in (("CPU", cpus), ("GPU", gpus)) if number)
    return f"waits for a machine with {wanted}: none is up; `ray status` shows what the cluster has and starts"


def _on_device(function: Callable[..., Any], storage: StorageOptions, item: Any, *shared: Any) -> Any:
    use_storage_options(storage)
    # Tasks without a GPU still see all of the machine's, so ask Ray and not torch.
    return function(item, *shared, device="cuda" if ray.get_gpu_ids() else "cpu")


def _kept(function: Callable[[], Any], storage: StorageOptions) -> tuple[None, Any]:
    """Two returns: the driver waits for the first, and never fetches the second."""
    use_storage_options(storage)
    return None, function()


def _with_threads(function: Callable[..., Any], storage: StorageOptions, arguments: tuple[Any, ...]) -> Any:
    use_storage_options(storage)
    # Of this machine: on a cluster that had none yet, the task asked for one CPU and got a machine for itself.
    here = ray.get_runtime_context().get_node_id()
    cpus = next(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["NodeID"] == here)
    return function(*arguments, threads=max(1, int(cpus)))


def _with_crew(function: Callable[..., Any], storage: StorageOptions, arguments: tuple[Any, ...]) -> Any:
    use_storage_options(storage)
    # The CPU of this task is among them: Ray lends it to others as long as the task waits for the crew.
    with aggregate_actors(max(1, int(ray.cluster_resources().get("CPU", 1)))) as crew:
        return function(*arguments, crew=crew)


def _value(reference: Any, work: str) -> Any:
    outcome = _outcome(None, reference, work)
    if outcome.error:
        raise outcome.error
    return outcome.value


def _outcome(item: Any, reference: Any, work: str) -> Outcome:
    try:
        return Outcome(item, value=ray.get(reference))
    except RayError as error:
        # Ray wraps what a task raised; the cause is the error itself, as the inline executor has it.
        cause = getattr(error, "cause", None)
        if not isinstance(cause, Exception):
            return Outcome(item, error=unfinished(error, work))
        cause.add_note(traceback_text(error))  # where it was raised; the error itself has lost that
        return Outcome(item, error=cause)
