"""Memory of this process and all that it started, shared pages counted once."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAUSES = 20  # as long as a look, between two of them: the kernel goes through all pages of all processes


class Peak:
    """The largest sum of proportional set sizes seen so far, in bytes; 0 where the system does not tell."""

    def __init__(self) -> None:
        self.pss_bytes = 0

    def look(self) -> None:
        """Add up what /proc says now."""
        self.pss_bytes = max(self.pss_bytes, sum(_pss_bytes(process) for process in _family(os.getpid())))


@contextmanager
def peak_pss(every_s: float = 0.1) -> Iterator[Peak]:
    """Look again and again while the block runs, but never so often that looking takes more than a part of the time."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        pause = every_s
        while not done.wait(pause):
            started = time.perf_counter()
            peak.look()
            pause = max(every_s, PAUSES * (time.perf_counter() - started))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        peak.look()
        done.set()
        watcher.join()


def _family(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue  # it has ended
        children.setdefault(parent, []).append(int(folder.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def _pss_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
