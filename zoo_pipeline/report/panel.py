"""A figure with its heading and its caption."""

from dataclasses import dataclass

import plotly.graph_objects as go


@dataclass(frozen=True)
class Panel:
    """One figure of the page, or the reason why there is none.

    Attributes:
        slug: the identifier in the page; [a-z-] only.
        title: heading.
        caption: what is seen and what was left out; plain text, escaped by the template.
        figure: a plotly figure, or None where there is nothing to draw.
        shape: how tall it is drawn: "small", "wide", "square" or "large"; a class of the style sheet.
    """

    slug: str
    title: str
    caption: str
    figure: go.Figure | None
    shape: str = "wide"
