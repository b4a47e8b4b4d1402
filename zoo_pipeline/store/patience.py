"""Patience with a remote store: what passes by waiting is waited for, and nothing else."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from zoo_pipeline.store.faults import is_transient, reason

T = TypeVar("T")

PATIENCE_S = 300.0  # from the first fault of a call to its last attempt: a bucket may be gone for minutes
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 20.0
TOLD_AFTER_S = 5.0  # of waiting, a person is told what for

_log = logging.getLogger(__name__)


def patiently(call: Callable[[], T], what: str) -> T:
    """Call until it succeeds or fails for good; the waits double, with jitter, so that workers do not come at once.

    Drivers' own retries are turned off (`zoo_pipeline.store.remote`), so these are the only ones.

    Args:
        call: what to do; may be done several times.
        what: the file, for the line that tells of a long wait.

    Raises:
        Exception: what the call raised last.
    """
    began: float | None = None
    wait, told = FIRST_WAIT_S, False
    while True:
        try:
            return call()
        except Exception as error:
            if not is_transient(error):
                raise
            now = time.monotonic()
            began = now if began is None else began
            pause = wait * random.uniform(0.5, 1.0)
            if now + pause - began > PATIENCE_S:
                raise
            if now - began > TOLD_AFTER_S and not told:
                told = True
                _log.warning("%s: %s; trying again for up to %.0f s", what, reason(error), PATIENCE_S)
            time.sleep(pause)
            wait = min(2 * wait, LONGEST_WAIT_S)
