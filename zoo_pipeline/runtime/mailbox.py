"""Small messages from Ray tasks to the driver while they run; they may get lost, and never make a task fail."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

TAKE_EVERY_S = 1.0
TAKEN_WITHIN_S = 5.0
MOST_MESSAGES = 100_000  # that wait to be taken; older ones go


class Mailbox:
    """Keeps messages until they are taken; runs as an actor."""

    def __init__(self) -> None:
        self._messages: deque[Any] = deque(maxlen=MOST_MESSAGES)

    def put(self, message: Any) -> None:
        """Keep a message."""
        self._messages.append(message)

    def take(self) -> list[Any]:
        """All messages since the last call."""
        messages = list(self._messages)
        self._messages.clear()
        return messages


class Sender:
    """What a task calls with a message; it waits for nothing and raises nothing."""

    def __init__(self, mailbox: Any) -> None:
        self._mailbox = mailbox

    def __call__(self, message: Any) -> None:
        """Send a message."""
        with suppress(Exception):  # no work is to be lost for a message, whatever Ray says of it
            self._mailbox.put.remote(message)


@contextmanager
def mailbox(heard: Callable[[Any], None]) -> Iterator[Sender]:
    """A sender for tasks; `heard` gets its messages in this process, in a thread, as long as the context is open."""
    # Beside the driver, on whose life all depends anyway.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    actor = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Mailbox).remote()
    ended = Event()
    listener = Thread(target=_listen, args=(actor, heard, ended), daemon=True)
    listener.start()
    try:
        yield Sender(actor)
    finally:
        ended.set()
        listener.join()
        with suppress(RayError):
            ray.kill(actor)


def _listen(actor: Any, heard: Callable[[Any], None], ended: Event) -> None:
    last, taken = False, None
    while not last:
        last = ended.wait(TAKE_EVERY_S)
        with suppress(Exception):  # neither Ray's nor the listener's trouble is a reason to stop listening
            taken = taken or actor.take.remote()
            try:
                messages = ray.get(taken, timeout=TAKEN_WITHIN_S)
            except GetTimeoutError:
                continue  # what it takes is gone from the mailbox, so wait on for the same answer
            except RayError:
                taken = None
                continue
            taken = None
            for message in messages:
                heard(message)
