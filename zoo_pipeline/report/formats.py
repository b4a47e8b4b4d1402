"""How numbers are written on the page."""

import math
from typing import Any, TypeGuard

MISSING = "n/a"
SPACE = "\N{NO-BREAK SPACE}"


def known(value: Any) -> TypeGuard[float]:
    """Whether a figure of the summary has a value: neither None nor NaN."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def count(value: Any) -> str:
    """A whole number with commas between thousands.

    >>> count(12500)
    '12,500'
    """
    return f"{int(value):,}" if known(value) else MISSING


def score(value: Any) -> str:
    """A score with three decimals, which never rounds an imperfect one up to perfect.

    >>> score(1.0), score(0.99996), score(0.4567), score(None)
    ('1.000', '> 0.999', '0.457', 'n/a')
    """
    if not known(value):
        return MISSING
    return "> 0.999" if 0.9995 <= value < 1.0 else f"{value:.3f}"


def share(value: Any) -> str:
    """A fraction as a percentage, where only all is 100 % and only nothing is 0 %; its spaces do not break.

    >>> [share(value).replace(SPACE, " ") for value in (1.0, 0.9999, 0.934, 0.0, 0.0001)]
    ['100 %', '> 99.9 %', '93.4 %', '0 %', '< 0.1 %']
    """
    if not known(value):
        return MISSING
    if value in (0.0, 1.0):
        return f"{100 * value:.0f}{SPACE}%"
    if 0.9995 <= value < 1:
        return f">{SPACE}99.9{SPACE}%"
    return f"<{SPACE}0.1{SPACE}%" if 0 < value < 0.0005 else f"{100 * value:.1f}{SPACE}%"


def figure(value: Any) -> str:
    """Any quantity with three significant digits.

    >>> figure(3.14159), figure(0.000123), figure(1234567.0), figure(float("inf")), figure(None)
    ('3.14', '0.000123', '1.23e+06', '∞', 'n/a')
    """
    if not known(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0 or 1e-4 <= abs(value) < 1e4:
        digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:.{digits}f}"
    return f"{value:.2e}"


def duration(seconds: Any) -> str:
    """A wall time in the unit that suits it.

    >>> duration(0.0123), duration(7.31), duration(95.0), duration(7260.0)
    ('12 ms', '7.3 s', '1 min 35 s', '2 h 01 min')
    """
    if not known(seconds):
        return MISSING
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
