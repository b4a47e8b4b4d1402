"""Drawing: charts as small SVG files that a README shows, without a browser and without a library."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zoo_pipeline.report.theme import BLUE, GREY, INK, MUTED, ORANGE, PALETTE, RULE

__all__ = ["BLUE", "GREY", "INK", "ORANGE", "PALETTE", "Axis", "Chart", "write_svg"]

WIDTH, HEIGHT = 340, 240  # of a chart, px
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 56, 40  # around its plot
_FONT = "-apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Axis:
    """What one axis shows.

    Attributes:
        label: what is drawn along it.
        low: where it starts.
        high: where it ends, on either side of `low`.
        logarithmic: whether it is; both ends are positive then.
    """

    label: str
    low: float
    high: float
    logarithmic: bool = False

    def shares(self, values: ArrayLike) -> Floats:
        """Where values lie between `low`, 0, and `high`, 1; what lies outside is moved to the nearer end."""
        numbers = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.logarithmic:
            numbers, low, high = np.log10(np.maximum(numbers, 1e-300)), log10(low), log10(high)
        return np.clip((numbers - low) / (high - low), 0, 1)

    def ticks(self) -> list[float]:
        """Round numbers along the axis: powers of ten (where those are few, 1-2-5 series), or some four equal steps.

        >>> Axis("", 0, 40).ticks()
        [0.0, 10.0, 20.0, 30.0, 40.0]
        >>> Axis("", 3e-3, 2, logarithmic=True).ticks()
        [0.01, 0.1, 1.0]
        >>> Axis("", 0.3, 2, logarithmic=True).ticks()
        [0.5, 1.0, 2.0]
        """
        low, high = sorted((self.low, self.high))
        if self.logarithmic:
            powers = range(floor(log10(low)), ceil(log10(high)) + 1)
            series = (1, 2, 5) if len(powers) < 4 else (1,)
            ticks = [round(factor * 10.0**power, 12) for power in powers for factor in series]
            inside = [tick for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
            return inside[:: ceil(len(inside) / 7)]
        rough = (high - low) / 4
        unit = 10.0 ** floor(log10(rough))
        step = min((unit * factor for factor in (1, 2, 5, 10)), key=lambda size: abs(size - rough))
        first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]

    def name(self, tick: float) -> str:
        """How a tick is labelled."""
        if self.logarithmic and not 0.01 <= tick <= 1000:
            return "10" + str(round(log10(tick))).translate(_SUPERSCRIPTS)
        return f"{tick:g}".replace("-", "−")


@dataclass
class Chart:
    """One chart with its marks, in the order in which they are drawn."""

    title: str
    x: Axis
    y: Axis
    _marks: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str]] = field(default_factory=list)

    def line(
        self, x: ArrayLike, y: ArrayLike, colour: str, label: str = "", *, width: float = 1.6, dashed: bool = False
    ) -> "Chart":
        """Join points; NaN leaves a gap."""
        path, gap = [], True
        for across, down in zip(*self._places(x, y), strict=True):
            if np.isfinite(down):
                path.append(f"{'M' if gap else 'L'}{across:.1f} {down:.1f}")
            gap = not np.isfinite(down)
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        return self._mark(
            f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>', colour, label
        )

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str, label: str = "", *, radius: float = 2) -> "Chart":
        """Draw a dot at every point."""
        places = "".join(f"M{across:.1f} {down:.1f}h0" for across, down in zip(*self._places(x, y), strict=True))
        return self._mark(
            f'<path d="{places}" stroke="{colour}" stroke-width="{2 * radius}" stroke-linecap="round"/>', colour, label
        )

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str) -> "Chart":
        """Fill between two lines."""
        (across, upper), (_, lower) = self._places(x, high), self._places(x, low)
        corners = [*zip(across, upper, strict=True), *zip(across[::-1], lower[::-1], strict=True)]
        path = "L".join(f"{one:.1f} {other:.1f}" for one, other in corners)
        return self._mark(f'<path d="M{path}Z" fill="{colour}" fill-opacity="0.18"/>', colour, "")

    def bars(self, edges: ArrayLike, heights: ArrayLike, colour: str, label: str = "") -> "Chart":
        """Draw a histogram: n heights between n + 1 edges."""
        tops = np.repeat(np.asarray(heights, np.float64), 2)
        sides = np.repeat(np.asarray(edges, np.float64), 2)[1:-1]
        bottom = np.full(len(tops), self.y.low)
        self.band(sides, bottom, tops, colour)
        return self.line(sides, tops, colour, label, width=1.1)

    def svg(self) -> str:
        """The chart, its upper left corner at the origin."""
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        parts = [_text(LEFT, 16, self.title, 'font-weight="600"')]
        for tick in self.y.ticks():
            _, (down,) = self._places([self.x.low], [tick])
            parts.append(f'<path d="M{LEFT} {down:.1f}H{right}" stroke="{RULE}"/>')
            parts.append(_text(LEFT - 6, down + 4, self.y.name(tick), f'text-anchor="end" fill="{MUTED}"'))
        for tick in self.x.ticks():
            (across,), _ = self._places([tick], [self.y.low])
            parts.append(f'<path d="M{across:.1f} {bottom}v4" stroke="{GREY}"/>')
            parts.append(_text(across, bottom + 15, self.x.name(tick), f'text-anchor="middle" fill="{MUTED}"'))
        parts += [f'<path d="M{LEFT} {bottom}H{right}" stroke="{GREY}"/>', *self._marks]
        parts.append(_text((LEFT + right) / 2, HEIGHT - 8, self.x.label, f'text-anchor="middle" fill="{MUTED}"'))
        middle = (TOP + bottom) / 2
        turned = f'text-anchor="middle" fill="{MUTED}" transform="rotate(-90 13 {middle})"'
        parts.append(_text(13, middle, self.y.label, turned))
        return "".join([*parts, *self._key()])

    def _key(self) -> list[str]:
        """Colours and their meaning, above the plot, in as many rows as they need."""
        parts, across, down = [], float(LEFT), 31
        for colour, label in self._legend:
            length = 24 + 5.6 * len(label)
            if across + length > WIDTH:
                across, down = float(LEFT), down + 14
            parts.append(f'<path d="M{across:.0f} {down}h12" stroke="{colour}" stroke-width="3"/>')
            parts.append(_text(across + 16, down + 4, label, f'fill="{MUTED}"'))
            across += length
        return parts

    def _mark(self, mark: str, colour: str, label: str) -> "Chart":
        self._marks.append(mark)
        if label:
            self._legend.append((colour, label))
        return self

    def _places(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        across = LEFT + self.x.shares(x) * (WIDTH - LEFT - RIGHT)
        return across, HEIGHT - BOTTOM - self.y.shares(y) * (HEIGHT - TOP - BOTTOM)


def write_svg(path: Path, charts: Sequence[Chart], columns: int = 2) -> None:
    """Write charts side by side, row by row, on white: pages may be dark."""
    rows = ceil(len(charts) / columns)
    width, height = columns * WIDTH, rows * HEIGHT
    placed = "\n".join(
        f'<g transform="translate({number % columns * WIDTH} {number // columns * HEIGHT})">{chart.svg()}</g>'
        for number, chart in enumerate(charts)
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{_FONT}" font-size="11" fill="{INK}">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n{placed}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'
