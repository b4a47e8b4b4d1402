"""What processes of this machine have used: memory and processor time."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def peak_bytes(process: int | str = "self") -> int:
    """The most memory that was resident at a time."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def processor_s(process: int | str = "self") -> float:
    """User and system time so far, in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def named(program: str) -> list[int]:
    """Descendants of this process that run a program."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    found = []
    for process in parents:
        ancestor: int | None = process
        while ancestor is not None and ancestor != os.getpid():
            ancestor = parents.get(ancestor)
        try:
            if ancestor and Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].endswith(program.encode()):
                found.append(process)
        except OSError:
            continue
    return found
