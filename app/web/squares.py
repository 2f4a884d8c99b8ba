"""Charts whose axes both go from 0 to 1: one share over another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import plotly.graph_objects as go
from dash.development.base_component import Component

from app.web.chart_tools import plain
from app.web.charts import (
    BLUE,
    DASHES,
    FAINT,
    GRID,
    LOOK,
    ORANGE,
    SYMBOLS,
    WITH_COUNTS,
    framed,
)

# After and before, as in the titles of the page.
COLOURS = (BLUE, ORANGE)
# From point to point, or at the height of the next point all the way there.
Shape = Literal["linear", "vh"]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of a line, and the text of each."""

    x: Sequence[float]
    y: Sequence[float]
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Axes:
    """What both axes are."""

    across: str
    up: str


# From one corner of the chart to another.
Guide = tuple[float, float, float, float]
DIAGONAL: Guide = (0, 0, 1, 1)


def level(height: float) -> Guide:
    """A guide at one height."""
    return (0, height, 1, height)


def square(
    title: str,
    axes: Axes,
    curves: Mapping[str, Curve],
    *,
    guide: Guide | None = None,
    shape: Shape = "linear",
    markers: bool = False,
) -> Component:
    """One or two lines by name, the first of them after and the other before, and a guide."""
    figure = go.Figure()
    for place, (name, curve) in enumerate(curves.items()):
        figure.add_scatter(
            x=list(curve.x),
            y=list(curve.y),
            name=plain(name),
            mode="lines+markers" if markers else "lines",
            line={"color": COLOURS[place], "dash": DASHES[place], "width": 2, "shape": shape},
            marker={"size": 7, "symbol": SYMBOLS[place]},
            customdata=[plain(note).replace("\n", "<br>") for note in curve.notes],
            hovertemplate="%{customdata}<extra></extra>",
        )
    if guide is not None:
        x0, y0, x1, y1 = guide
        line = {"color": FAINT, "width": 1, "dash": "dot"}
        figure.add_shape(type="line", x0=x0, y0=y0, x1=x1, y1=y1, line=line, layer="below")
    figure.update_layout(
        **LOOK,
        height=WITH_COUNTS,
        margin={"l": 56, "r": 14, "t": 12, "b": 46},
        hovermode="closest",
        dragmode=False,
    )
    figure.update_xaxes(**_axis(axes.across))
    figure.update_yaxes(**_axis(axes.up))
    return framed(title, figure, list(curves), className="square")


def _axis(title: str) -> dict[str, Any]:
    return GRID | {
        "range": [-0.01, 1.02],
        "tickformat": ".0%",
        "dtick": 0.25,
        "fixedrange": True,
        "title": {"text": plain(title), "font": {"size": 12}, "standoff": 6},
    }
