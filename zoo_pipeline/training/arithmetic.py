"""The arithmetic that training uses, whatever a process has set otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def arithmetic() -> Iterator[None]:
    """float32 throughout, and numbers below 1.2e-38 as zero.

    A GPU would convolve in TF32, with 10 bits of mantissa, and no longer give a CPU's weights within rounding. Its
    shapes repeat, so that looking for the fastest convolution of each pays. A CPU is many times slower on denormal
    numbers, of which Adam's squares of small gradients are full; beside its epsilon they count for nothing. Torch does
    not tell how that was set, so afterwards it is as torch has it from the start. It is set for the calling thread
    alone, so that with several threads some numbers are still slow.
    """
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    torch.set_flush_denormal(True)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_float32_matmul_precision(precision)
