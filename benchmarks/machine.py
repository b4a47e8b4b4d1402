"""What the machine can do, measured in the same run as what is made of it."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

CPU_SIDE, GPU_SIDE = 1_024, 8_192  # of the square matrices
COPIED_BYTES = 1 << 30
_SECONDS = 0.7  # that each rate is measured for


@dataclass(frozen=True)
class Rates:
    """What one process measured.

    Attributes:
        matrix_flops: floating point operations per second of a float32 matrix product.
        matrix_flops_tf32: the same in TF32; None on a CPU.
        copy_bytes_per_s: bytes read and written per second by a copy within the device's memory; None on a CPU.
    """

    matrix_flops: float
    matrix_flops_tf32: float | None = None
    copy_bytes_per_s: float | None = None


def measure_rates(device: str) -> Rates:
    """Measure the device with this process's threads; all processes do so at the same time."""
    side = GPU_SIDE if device == "cuda" else CPU_SIDE
    left, right = (torch.randn(side, side, device=device) for _ in range(2))
    out = torch.empty_like(left)
    operations = 2 * side**3

    def multiply() -> None:
        torch.mm(left, right, out=out)

    if device != "cuda":
        return Rates(operations / _fastest_s(multiply, device))
    before = torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = False
        exact = operations / _fastest_s(multiply, device)
        torch.backends.cuda.matmul.allow_tf32 = True
        rounded = operations / _fastest_s(multiply, device)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    source = torch.empty(COPIED_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Rates(exact, rounded, 2 * COPIED_BYTES / _fastest_s(lambda: target.copy_(source), device))


def hardware(device: str) -> dict[str, object]:
    """The machine in words."""
    described: dict[str, object] = {"cpu": _processor(), "memory_gib": _memory_gib()}
    if device == "cuda":
        described["gpu"] = torch.cuda.get_device_name()
    return described


def _fastest_s(call: Callable[[], object], device: str) -> float:
    fastest = float("inf")
    ending = time.perf_counter() + _SECONDS
    while time.perf_counter() < ending:
        started = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        fastest = min(fastest, time.perf_counter() - started)
    return fastest


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> int | None:
    information = Path("/proc/meminfo")
    if not information.exists():
        return None
    return round(int(information.read_text().split()[1]) / 2**20)
