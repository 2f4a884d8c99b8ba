"""A confusion matrix: counts, and how each true class was predicted."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from truthline.extras import extra
from truthline.plots.shapes import Matrix
from truthline.plots.theme import BLUE, GRID, QUIET, UNSEEN_TICKS, Clock, dress, escape

if TYPE_CHECKING:  # a package that need not be there
    from plotly.graph_objects import Figure

# From white to the palette's blue: one hue, distinguished by lightness alone.
SHADES = [[0, "#FFFFFF"], [0.25, "#CFE3F1"], [0.5, "#8FBEDD"], [0.75, "#3F8FC2"], [1, BLUE]]
# With more classes cells have no room for text; it is shown on hover.
MANY_CLASSES = 15
LEFT, RIGHT, TOP, BOTTOM = 150, 110, 92, 84


def heat_map(matrix: Matrix) -> "Figure":
    """Rows are the truth, columns the prediction; the shade is the share of a row."""
    graph_objects = extra("plotly.graph_objects", "plot")
    names = [escape(name) for name in matrix.categories]
    crowded = len(names) > MANY_CLASSES
    made = graph_objects.Figure(
        graph_objects.Heatmap(
            z=[[_share(count, row) for count in row] for row in matrix.values],
            zmin=0,
            zmax=1,
            colorscale=SHADES,
            xgap=1 if crowded else 2,
            ygap=1 if crowded else 2,
            text=None if crowded else [[_words(n, row) for n in row] for row in matrix.values],
            texttemplate=None if crowded else "%{text}",
            hovertext=_hints(matrix, names),
            hovertemplate="%{hovertext}<extra></extra>",
            colorbar={
                "title": {
                    "text": "Share of the actual class",
                    "side": "right",
                    "font": {"size": 13, "color": QUIET},
                },
                "tickformat": ".0%",
                "thickness": 12,
                "outlinewidth": 0,
            },
        )
    )
    _lay_out(made, matrix, names)
    return made


def _lay_out(made: Any, matrix: Matrix, names: Sequence[str]) -> None:
    clock = Clock.of(matrix.time_zone, (matrix.start, matrix.end))
    total = sum(map(sum, matrix.values))
    side = min(max(96 * len(names), 288), 760)
    dress(
        made,
        f"{matrix.subject}: confusion matrix",
        f"{clock.span(matrix.start, matrix.end)} {clock.name} · {total:,} truths",
        width=max(side + LEFT + RIGHT, 640),
        height=side + TOP + BOTTOM,
        margin={"l": LEFT, "r": RIGHT, "t": TOP, "b": BOTTOM},
        plot_bgcolor=GRID,
    )
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "showgrid": False}
    fit = {"constrain": "domain", "showline": False, "zeroline": False, **UNSEEN_TICKS, **ticks}
    made.update_xaxes(title_text="Predicted class", **fit)
    made.update_yaxes(title_text="Actual class", autorange="reversed", scaleanchor="x", **fit)
    if not total:
        made.update_layout(plot_bgcolor="white")
        made.update_traces(showscale=False)
        made.update_xaxes(visible=False).update_yaxes(visible=False)
        made.add_annotation(
            text="No truth is known in this bucket.",
            font={"size": 15, "color": QUIET},
            x=0.5,
            y=0.5,
            xref="paper",
            yref="paper",
            showarrow=False,
        )


def _share(count: int, row: Sequence[int]) -> float:
    return count / (sum(row) or 1)


def _words(count: int, row: Sequence[int]) -> str:
    return f"<b>{count:,}</b><br>{_share(count, row):.0%}" if count else "0"


def _hints(matrix: Matrix, names: Sequence[str]) -> list[list[str]]:
    return [
        [
            f"actual <b>{actual}</b>, predicted <b>{predicted}</b>"
            f"<br>{count:,} of {sum(row):,} ({_share(count, row):.1%})"
            for predicted, count in zip(names, row, strict=True)
        ]
        for actual, row in zip(names, matrix.values, strict=True)
    ]
