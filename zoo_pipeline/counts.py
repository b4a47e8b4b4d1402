"""How counted things are written, wherever a person reads them."""


def plural(number: int, noun: str) -> str:
    """A counted noun.

    >>> plural(1, "model"), plural(1664, "checkpoint"), plural(2, "trajectory")
    ('1 model', '1,664 checkpoints', '2 trajectories')
    """
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"
