"""Charts over time. Their colours suit light and dark themes; the style sheet does the rest."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component
from markupsafe import Markup

from app.web import markup
from app.web.markup import to_component
from app.web.question import Question, iso_utc
from app.web.tables import labelled

# Distinguishable with colour vision deficiency, and readable on white and on black.
COLOURS = ("#4c6ef5", "#e8590c", "#0ca678", "#ae3ec9", "#868e96", "#f59f00")
HEIGHT = 260
# With fewer points each one has a marker that can be clicked.
SPARSE = 150
# A screen has no room for more points.
POINTS = 2_000
# Characters that plotly interprets as tags, entities and TeX.
_AS_IT_IS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"})


def plain(text: str) -> str:
    """A name escaped for plotly: names are chosen by users and shown to other users."""
    return text.translate(_AS_IT_IS)


# x and y values.
Points = tuple[Sequence[Any], Sequence[float | None]]


def lines(
    title: str,
    question: Question,
    starts: Sequence[datetime],
    values: Mapping[str, Sequence[float | None]],
    *,
    form: str = "",
    clicked: str = "",
    shaded: tuple[datetime, datetime] | None = None,
) -> Component:
    """Lines with gaps where values are missing; `form` is the d3 format of a value.

    A click on a point sets the URL parameter `clicked` to the start of its bucket; `shaded` is a
    highlighted span of time.
    """
    figure = go.Figure()
    if shaded:
        figure.add_vrect(
            x0=question.clock(shaded[0]),
            x1=question.clock(shaded[1]),
            fillcolor=COLOURS[0],
            opacity=0.15,
            line_width=0,
        )
    for index, (name, numbers) in enumerate(values.items()):
        figure.add_scatter(
            x=[question.clock(start) for start in starts],
            y=list(numbers),
            name=plain(name),
            connectgaps=False,
            customdata=[iso_utc(start) for start in starts],
            mode="lines+markers" if len(numbers) < SPARSE else "lines",
            line={"color": COLOURS[index % len(COLOURS)], "width": 1.75},
            marker={"size": 4},
            hovertemplate=f"%{{y:{form}}}" if form else "%{y}",
        )
    return _chart(title, question, figure, form, list(values), clicked=clicked)


def box_plot(
    title: str,
    question: Question,
    starts: Sequence[datetime],
    quantiles: Sequence[Sequence[float]],
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
            line={"color": COLOURS[0], "width": width},
            fill=fill,
            fillcolor="rgba(76,110,245,.2)",
            hovertemplate="%{y:.4~g}",
        )
    return _chart(title, question, figure, ".4~g", [])


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
) -> Component:
    """Stacked bars as wide as their buckets."""
    figure = go.Figure()
    for index, (name, numbers) in enumerate(values.items()):
        figure.add_bar(
            x=[question.clock(start) for start in starts],
            y=list(numbers),
            width=list(widths),
            offset=0,
            name=plain(name),
            marker={"color": COLOURS[index % len(COLOURS)], "line": {"width": 0}},
            hovertemplate="%{y:,}",
        )
    figure.update_layout(barmode="stack", bargap=0)
    return _chart(title, question, figure, "~s", list(values))


def curves(title: str, points: Mapping[str, Points]) -> Component:
    """Lines over something other than time: names, or positions in a list.

    Of a long list only every nth value and the last one are drawn; the CSV has all values.
    """
    figure = go.Figure()
    for index, (name, (across, values)) in enumerate(points.items()):
        step = -(-len(values) // POINTS)
        indices = [*range(0, len(values) - 1, step or 1), len(values) - 1] if values else []
        xs = [across[i] for i in indices]
        figure.add_scatter(
            x=[plain(x) if isinstance(x, str) else x for x in xs],
            y=[values[i] for i in indices],
            name=plain(name),
            mode="lines+markers" if len(indices) < SPARSE else "lines",
            line={"color": COLOURS[index % len(COLOURS)], "width": 1.75},
            marker={"size": 4},
            hovertemplate="%{y:.5~g}",
        )
    if any(isinstance(x, str) for across, _ in points.values() for x in across[:1]):
        figure.update_xaxes(type="category")  # even if names look like numbers or dates
    return _drawn(title, figure, ".4~g", list(points))


def _chart(
    title: str,
    question: Question,
    figure: go.Figure,
    form: str,
    names: Sequence[str],
    *,
    clicked: str = "",
) -> Component:
    """A chart over the whole window, even where values are missing."""
    window = [question.clock(edge) for edge in (question.window.start, question.window.end)]
    figure.update_xaxes(range=window)
    return _drawn(title, figure, form, names, clicked=clicked)


def _drawn(
    title: str, figure: go.Figure, form: str, names: Sequence[str], *, clicked: str = ""
) -> Component:
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 52, "r": 12, "t": 8, "b": 28},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="x unified",
        hoverdistance=-1,  # the nearest bucket, regardless of the width of buckets
        showlegend=False,
        font={"family": "inherit", "size": 12, "color": "#868e96"},
        template=None,
        dragmode="zoom",
    )
    axis = {"showgrid": True, "gridcolor": "rgba(134,142,150,.22)", "zeroline": False}
    figure.update_yaxes(**axis, tickformat=form, automargin=True, fixedrange=True, nticks=5)
    figure.update_xaxes(showgrid=False, zeroline=False, automargin=True)
    named: dict[str, Any] = {"id": {"chart": clicked}} if clicked else {}
    graph = dcc.Graph(
        figure=figure,
        config={"displayModeBar": False, "responsive": True},
        className="chart",
        **named,
    )
    caption = html.Figcaption(title, className="hidden")
    legend = [to_component(_legend(figure, names), "legend")] if len(names) > 1 else []
    return html.Figure([*legend, graph, caption], **labelled(title))


def _legend(figure: go.Figure, names: Sequence[str]) -> Markup:
    """The legend, above the chart, where it can wrap on a narrow screen."""
    return Markup("").join(
        markup.Span([markup.Span(className="dot", style={"--colour": _colour(line)}), name])
        for line, name in zip(figure.data, names, strict=True)
    )


def _colour(line: Any) -> str:
    return str(line.marker.color if line.type == "bar" else line.line.color)
