"""How counted things are written, wherever a person reads them."""

import re


def plural(number: int, noun: str) -> str:
    """A counted noun.

    >>> plural(1, "model"), plural(1664, "checkpoint"), plural(2, "trajectory")
    ('1 model', '1,664 checkpoints', '2 trajectories')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def binary(number: int) -> str:
    """A number of bytes in the largest unit of which there is at least one.

    >>> binary(300), binary(65_536), binary(3_000_000_000)
    ('300 bytes', '64.0 KiB', '2.8 GiB')
    """
    power = min((max(number, 1).bit_length() - 1) // 10, 4)
    return f"{number / 1024**power:,.1f} {'KMGT'[power - 1]}iB" if power else plural(number, "byte")


def bytes_of(text: str) -> int:
    """A number of bytes with its unit, such as 4GiB, 512MiB or 2GB.

    Raises:
        ValueError: it is none.

    Example:
        >>> bytes_of("1.5GiB"), bytes_of("2 kB"), bytes_of("300")
        (1610612736, 2000, 300)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([kMGT])(i?)B?|B)?\s*", text)
    if found is None or float(found[1]) == 0:
        raise ValueError(f"got {text!r}, expected a number of bytes such as 4GiB, 512MiB or 2GB")
    power = "kMGT".index(found[2]) + 1 if found[2] else 0
    return int(float(found[1]) * (1024 if found[3] else 1000) ** power)
