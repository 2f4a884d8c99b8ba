"""Charts over time. The style sheet adapts them to light and dark; assets/charts.js to the hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from app.query.noise import FEW
from app.query.window import Window
from app.web.bands import OPACITY, Bounds, band
from app.web.chart_tools import plain, tools
from app.web.markup import to_component
from app.web.question import DAY, Question, iso_utc
from app.web.tables import labelled

# The Okabe-Ito palette, distinguishable with every common colour blindness, with a dash and a
# marker for each: those of the client's figures (client/truthline/plots/theme.py).
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE = "#CC79A7", "#E69F00"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")
FAINT = "#868e96"
LIMIT = "#c92a2a"
# The style of a metric wherever it is drawn, by its place above: as in the client's figures.
STYLES = {
    "accuracy": 0,
    "precision": 1,
    "recall": 2,
    "f1": 3,
    "specificity": 4,
    "mean_absolute_error": 0,
    "root_mean_squared_error": 1,
}
HEIGHT, WITH_COUNTS = 260, 320
# With fewer points each one has a marker that can be clicked.
SPARSE = 150
# A screen has no room for more points.
POINTS = 2_000
# How much of the colour is left to points with fewer than FEW truths.
FADED = 0.3


# x and y values.
Points = tuple[Sequence[Any], Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Marked:
    """A span of time that is marked in a chart: `after` or `before`."""

    window: Window
    name: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of a monitor: a horizontal line, in the unit of the chart."""

    monitor: str
    value: float


def lines(
    title: str,
    question: Question,
    starts: Sequence[datetime],
    values: Mapping[str, Sequence[float | None]],
    *,
    form: str = "",
    counts: Sequence[int] = (),
    styles: Sequence[int] = (),
    bands: Mapping[str, Bounds] | None = None,
    marked: Sequence[Marked] = (),
    limits: Sequence[Limit] = (),
    watch: str = "",
    picks: bool = True,
) -> Component:
    """Lines with gaps where values are missing; `form` is the d3 format of a value.

    `counts` are the truths of each bucket: they are drawn as bars below, and points with fewer than
    FEW are faded. `bands` are the confidence intervals of some lines, by their name. `watch` is the
    URL of a form for a monitor. A click on a point selects its bucket, unless it `picks` nothing.
    """
    figure = go.Figure()
    ends = [*starts[1:], question.window.end]
    for index, (name, numbers) in enumerate(values.items()):
        figure.add_scatter(
            **_line(styles[index] if styles else index, len(numbers)),
            x=_middles(question, starts),
            y=list(numbers),
            name=plain(name),
            connectgaps=False,
            customdata=_spans(question, starts, ends),
            hovertemplate=f"%{{y:{form}}}" if form else "%{y}",
        )
        if bands and name in bands:
            _add_band(figure, question, starts, ends, bands[name])
        if counts and min(counts) < FEW:
            _fade(figure, counts)
    for limit in limits:
        _add_limit(figure, question, limit)
    if counts:
        _add_counts(figure, question, starts, ends, counts)
    return _chart(
        title, question, figure, form, list(values), marked=marked, watch=watch, picks=picks
    )


def _add_limit(figure: go.Figure, question: Question, limit: Limit) -> None:
    """A line across the whole window, so that the axis reaches it, with the monitor's name."""
    edges = [question.clock(edge) for edge in (question.window.start, question.window.end)]
    figure.add_scatter(
        x=edges,
        y=[limit.value] * len(edges),
        name=plain(f"limit of {limit.monitor}"),
        mode="lines",
        line={"color": LIMIT, "dash": "dash", "width": 1.25},
        hoverinfo="skip",
        meta="limit",
    )
    figure.add_annotation(
        text=plain(f"limit of {limit.monitor}"),
        x=edges[-1],
        y=limit.value,
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
        font={"size": 11},
    )


def _add_band(
    figure: go.Figure,
    question: Question,
    starts: Sequence[datetime],
    ends: Sequence[datetime],
    bounds: Bounds,
) -> None:
    """The band around the last line; plotly draws areas below all lines."""
    edges = [
        (question.clock(start), question.clock(end))
        for start, end in zip(starts, ends, strict=True)
    ]
    line = figure.data[-1]
    red, green, blue = (int(line.line.color[at : at + 2], 16) for at in (1, 3, 5))
    figure.add_scatter(
        **band(_middles(question, starts), edges, bounds),
        name=line.name,
        mode="lines",
        line={"color": line.line.color, "width": 0},
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},{OPACITY})",
        hoverinfo="skip",
        meta="band",
    )


def _line(index: int, points: int) -> dict[str, Any]:
    """The style of a line."""
    nth = index % len(COLOURS)
    return {
        "mode": "lines+markers" if points < SPARSE else "lines",
        "line": {"color": COLOURS[nth], "dash": DASHES[nth], "width": 1.75},
        "marker": {"size": 5, "symbol": SYMBOLS[nth]},
    }


def _fade(figure: go.Figure, counts: Sequence[int]) -> None:
    """Fade the points of the last line that have few truths, and the line on either side."""
    line = next(one for one in reversed(figure.data) if one.meta != "band")
    enough = [value if n >= FEW else None for value, n in zip(line.y, counts, strict=True)]
    figure.add_scatter(
        x=line.x,
        y=enough,
        name=line.name,
        mode=line.mode,
        line=line.line.to_plotly_json(),
        marker=line.marker.to_plotly_json(),
        connectgaps=False,
        hoverinfo="skip",
    )
    line.update(opacity=FADED, meta="again")


def _add_counts(
    figure: go.Figure,
    question: Question,
    starts: Sequence[datetime],
    ends: Sequence[datetime],
    counts: Sequence[int],
) -> None:
    """Bars of truths, below the lines."""
    figure.add_bar(
        x=_middles(question, starts),
        y=list(counts),
        width=[
            1000 * (end - start).total_seconds() for start, end in zip(starts, ends, strict=True)
        ],
        name="truths",
        yaxis="y2",
        marker={"color": FAINT, "opacity": 0.55, "line": {"width": 0}},
        customdata=_spans(question, starts, ends),
        hovertemplate="%{y:,}<br>%{customdata[4]}",
        meta="counts",
    )
    figure.update_xaxes(unifiedhovertitle={"text": "%{x|%Y-%m-%d}"})
    figure.update_layout(
        xaxis={"anchor": "y2"},
        yaxis={"domain": [0.27, 1]},
        yaxis2={
            "domain": [0, 0.18],
            "anchor": "x",
            "rangemode": "tozero",
            "title": {"text": "truths", "font": {"size": 11}},
        },
        hoversubplots="axis",
        height=WITH_COUNTS,
    )


def _middles(question: Question, starts: Sequence[datetime]) -> list[datetime]:
    """Where buckets are drawn: a point is above the middle of its bar."""
    edges = [question.clock(edge) for edge in (*starts, question.window.end)]
    return [start + (end - start) / 2 for start, end in pairwise(edges)]


def _spans(
    question: Question, starts: Sequence[datetime], ends: Sequence[datetime]
) -> list[list[str]]:
    """The edges of buckets, in UTC and by the clocks of the axis, and as words."""
    return [_span(question, *edges) for edges in zip(starts, ends, strict=True)]


def _span(question: Question, start: datetime, end: datetime) -> list[str]:
    first, last = question.clock(start), question.clock(end)
    form = "%Y-%m-%d" if end - start >= DAY else "%H:%M:%S" if first.second else "%H:%M"
    words = f"{first:{form}} to {last:{form}}"
    return [iso_utc(start), iso_utc(end), str(first), str(last), words]


def box_plot(
    title: str,
    question: Question,
    starts: Sequence[datetime],
    quantiles: Sequence[Sequence[float]],
    *,
    marked: Sequence[Marked] = (),
) -> Component:
    """The median as a line, the quartiles as a band, minimum and maximum as thin lines."""
    figure = go.Figure()
    for name, index, width, fill in BOX_LINES:
        figure.add_scatter(
            x=[question.clock(start) for start in starts],
            y=[x[index] for x in quantiles],
            name=name,
            connectgaps=False,
            mode="lines",
            line={"color": BLUE, "width": width},
            fill=fill,
            fillcolor="rgba(0,114,178,.2)",
            hovertemplate="%{y:.4~g}",
        )
    return _chart(title, question, figure, ".4~g", [], marked=marked)


# Lowest first, so that the band is filled from the first to the third quartile.
BOX_LINES = (
    ("lowest", 0, 0.5, None),
    ("first quarter", 1, 0, None),
    ("third quarter", 3, 0, "tonexty"),
    ("median", 2, 1.75, None),
    ("highest", 4, 0.5, None),
)


def bars(
    title: str,
    question: Question,
    starts: Sequence[datetime],
    widths: Sequence[float],
    values: Mapping[str, Sequence[float | None]],
    *,
    marked: Sequence[Marked] = (),
    watch: str = "",
) -> Component:
    """Stacked bars as wide as their buckets. `watch` is the URL that makes a monitor of them."""
    figure = go.Figure()
    for index, (name, numbers) in enumerate(values.items()):
        figure.add_bar(
            x=[question.clock(start) for start in starts],
            y=list(numbers),
            width=list(widths),
            offset=0,
            name=plain(name),
            marker={"color": COLOURS[index % len(COLOURS)], "line": {"width": 0}},
            customdata=_spans(question, starts, [*starts[1:], question.window.end]),
            hovertemplate="%{y:,}",
        )
    figure.update_layout(barmode="stack", bargap=0)
    return _chart(title, question, figure, "~s", list(values), marked=marked, watch=watch)


def curves(title: str, points: Mapping[str, Points], *, form: str = "") -> Component:
    """Lines over something other than time: names, or positions in a list.

    `form` is the d3 format of a share, whose axis begins at 0. Of a long list only every nth value
    and the last one are drawn; the CSV has all values.
    """
    figure = go.Figure()
    for index, (name, (across, values)) in enumerate(points.items()):
        step = -(-len(values) // POINTS)
        indices = [*range(0, len(values) - 1, step or 1), len(values) - 1] if values else []
        xs = [across[i] for i in indices]
        figure.add_scatter(
            **_line(index, len(indices)),
            x=[plain(x) if isinstance(x, str) else x for x in xs],
            y=[values[i] for i in indices],
            name=plain(name),
            hovertemplate=f"%{{y:{form or '.5~g'}}}",
        )
    if any(isinstance(x, str) for across, _ in points.values() for x in across[:1]):
        figure.update_xaxes(type="category")  # even if names look like numbers or dates
    if form:
        figure.update_yaxes(rangemode="tozero")
    return _drawn(title, figure, form or ".4~g", list(points))


def _chart(
    title: str,
    question: Question,
    figure: go.Figure,
    form: str,
    names: Sequence[str],
    *,
    marked: Sequence[Marked] = (),
    watch: str = "",
    picks: bool = False,
) -> Component:
    """A chart over the whole window, even where values are missing."""
    window = [question.clock(edge) for edge in (question.window.start, question.window.end)]
    figure.update_xaxes(range=window)
    for span in marked:
        _mark(figure, question, span)
    return _drawn(title, figure, form, names, over_time=True, watch=watch, picks=picks)


def _mark(figure: go.Figure, question: Question, marked: Marked) -> None:
    """Mark a selected span; what lies outside the chart is cut off."""
    start = max(marked.window.start, question.window.start)
    end = min(marked.window.end, question.window.end)
    if start < end:
        colour = BLUE if marked.name == "after" else ORANGE
        figure.add_shape(
            type="rect",
            xref="x",
            yref="paper",
            x0=question.clock(start),
            x1=question.clock(end),
            y0=0,
            y1=1,
            fillcolor=colour,
            opacity=0.16,
            line={"width": 0},
            layer="below",
        )
        figure.add_annotation(
            text=marked.name,
            x=question.clock(start if marked.name == "after" else end),
            xref="x",
            y=1,
            yref="paper",
            xanchor="left" if marked.name == "after" else "right",
            yanchor="bottom",
            showarrow=False,
            font={"size": 11},
        )


def _drawn(
    title: str,
    figure: go.Figure,
    form: str,
    names: Sequence[str],
    *,
    over_time: bool = False,
    watch: str = "",
    picks: bool = False,
) -> Component:
    figure.update_layout(
        **LOOK,
        height=figure.layout.height or HEIGHT,
        margin={"l": 52, "r": 12, "t": 18, "b": 28},
        hovermode="x unified",
        hoverdistance=-1,  # the nearest bucket, regardless of the width of buckets
        dragmode="zoom",
        selectdirection="h",
    )
    figure.update_yaxes(**GRID, automargin=True, fixedrange=True)
    figure.update_layout(yaxis={"tickformat": form, "nticks": 5})
    if "yaxis2" in figure.layout:
        figure.update_layout(yaxis2={"tickformat": "~s", "nticks": 3})
    figure.update_xaxes(showgrid=False, zeroline=False, automargin=True)
    kind: dict[str, Any] = (
        {"data-picks": "true"} if picks else {"data-time": "true"} if over_time else {}
    )
    return framed(title, figure, names, watch=watch, picks=picks, **kind)


# What all charts have in common, and the lines of their grids.
LOOK: dict[str, Any] = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "showlegend": False,
    "font": {"family": "inherit", "size": 12, "color": FAINT},
    "template": None,
}
GRID: dict[str, Any] = {
    "showgrid": True,
    "gridcolor": "rgba(134,142,150,.22)",
    "zeroline": False,
}


def framed(
    title: str,
    figure: go.Figure,
    names: Sequence[str],
    *,
    watch: str = "",
    picks: bool = False,
    **attributes: Any,
) -> Component:
    """A figure with its legend, its buttons, and its title for screen readers."""
    graph = dcc.Graph(
        figure=figure,
        config={"displayModeBar": False, "responsive": True, "doubleClick": False},
        className="chart" if figure.layout.height == HEIGHT else "chart tall",
    )
    caption = html.Figcaption(title, className="hidden")
    above = to_component(tools(figure, names, watch=watch, picks=picks), "tools")
    return html.Figure([above, graph, caption], **attributes, **labelled(title))
