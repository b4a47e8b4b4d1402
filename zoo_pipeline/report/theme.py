"""Colours and the look that all figures share."""

import plotly.graph_objects as go

INK = "#1c2430"
MUTED = "#667085"
RULE = "#e4e7ec"
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREY = "#98a2b3"

FONT = 'Inter, -apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif'

# Okabe-Ito without yellow and black, then Tol's muted and bright sets: colour-blind-safe as far as twenty can be.
PALETTE = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#332288", "#117733", "#882255", "#44AA99",
    "#999933", "#AA4499", "#6699CC", "#CC6677", "#DDAA33", "#004488", "#BB5566", "#228833", "#EE7733", "#33BBEE",
)  # fmt: skip


def colour(trajectory: int) -> str:
    """The colour of a recovered trajectory, the same in every figure; repeats after twenty."""
    return PALETTE[trajectory % len(PALETTE)] if trajectory >= 0 else GREY


def translucent(hex_colour: str, opacity: float) -> str:
    """A colour with an opacity.

    >>> translucent("#0072B2", 0.2)
    'rgba(0, 114, 178, 0.2)'
    """
    red, green, blue = (int(hex_colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def _template() -> go.layout.Template:
    axis = {
        "gridcolor": RULE,
        "linecolor": GREY,
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": GREY,
        "automargin": True,
        "title": {"font": {"size": 13, "color": MUTED}, "standoff": 10},
        "tickfont": {"size": 12, "color": MUTED},
        "exponentformat": "power",
        "minexponent": 4,
    }
    scene_axis = {
        "showbackground": False,
        "gridcolor": RULE,
        "linecolor": GREY,
        "zeroline": False,
        "showspikes": False,
        "showticklabels": False,
        "title": {"font": {"size": 12, "color": MUTED}},
        "nticks": 6,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": INK},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": PALETTE,
            "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
            "xaxis": axis | {"showgrid": False, "showline": True},
            "yaxis": axis | {"ticks": ""},
            "scene": {"xaxis": scene_axis, "yaxis": scene_axis, "zaxis": scene_axis},
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "font": {"size": 12, "color": MUTED},
                "bgcolor": "rgba(0,0,0,0)",
            },
            "modebar": {"bgcolor": "rgba(255,255,255,.7)", "color": GREY, "activecolor": INK},
            "hoverlabel": {
                "bgcolor": "#ffffff",
                "bordercolor": GREY,
                "font": {"family": FONT, "size": 12, "color": INK},
                "align": "left",
            },
        }
    )


TEMPLATE = _template()


def blank_figure() -> go.Figure:
    """An empty figure with the look of the page."""
    return go.Figure(layout={"template": TEMPLATE})
