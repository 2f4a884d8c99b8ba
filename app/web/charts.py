"""Charts over time. Their colours suit light and dark; the style sheet does the rest."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
from dash import dcc, html
from dash.development.base_component import Component

from app.web.tables import labelled

# Told apart also by those who see fewer colours, and readable on white and on black.
COLOURS = ("#4c6ef5", "#e8590c", "#0ca678", "#ae3ec9", "#868e96", "#f59f00")
HEIGHT = 260
# With fewer points each is marked, and can be hit.
SPARSE = 150


def lines(
    title: str,
    times: Sequence[datetime],
    values: Mapping[str, Sequence[float | None]],
    *,
    form: str = "",
    marks: Sequence[str] | None = None,
    id_: Any = None,
) -> Component:
    """Lines that break where nothing is known; `form` is how d3 writes a value."""
    figure = go.Figure()
    for place, (name, numbers) in enumerate(values.items()):
        figure.add_scatter(
            x=list(times),
            y=list(numbers),
            name=name,
            connectgaps=False,
            customdata=marks,
            mode="lines+markers" if len(numbers) < SPARSE else "lines",
            line={"color": COLOURS[place % len(COLOURS)], "width": 1.75},
            marker={"size": 4},
            hovertemplate=f"%{{y:{form}}}" if form else "%{y}",
        )
    return _chart(title, figure, form, several=len(values) > 1, id_=id_)


def bars(
    title: str,
    times: Sequence[datetime],
    widths: Sequence[float],
    values: Mapping[str, Sequence[float | None]],
    *,
    id_: Any = None,
) -> Component:
    """Bars as wide as their buckets, one upon the other."""
    figure = go.Figure()
    for place, (name, numbers) in enumerate(values.items()):
        figure.add_bar(
            x=list(times),
            y=list(numbers),
            width=list(widths),
            offset=0,
            name=name,
            marker={"color": COLOURS[place % len(COLOURS)], "line": {"width": 0}},
            hovertemplate="%{y:,}",
        )
    figure.update_layout(barmode="stack", bargap=0)
    return _chart(title, figure, "~s", several=len(values) > 1, id_=id_)


def _chart(title: str, figure: go.Figure, form: str, *, several: bool, id_: Any) -> Component:
    figure.update_layout(
        height=HEIGHT,
        margin={"l": 52, "r": 12, "t": 28 if several else 8, "b": 28},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="x unified",
        showlegend=several,
        legend={"orientation": "h", "x": 0, "y": 1.14, "xanchor": "left"},
        font={"family": "inherit", "size": 12, "color": "#868e96"},
        template=None,
        dragmode="zoom",
    )
    axis = {"showgrid": True, "gridcolor": "rgba(134,142,150,.22)", "zeroline": False}
    figure.update_yaxes(**axis, tickformat=form, automargin=True, fixedrange=True, nticks=5)
    figure.update_xaxes(showgrid=False, zeroline=False, automargin=True)
    graph = dcc.Graph(
        figure=figure,
        config={"displayModeBar": False, "responsive": True},
        className="chart",
        **({"id": id_} if id_ else {}),
    )
    return html.Figure([graph, html.Figcaption(title, className="hidden")], **labelled(title))
