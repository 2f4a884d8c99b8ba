"""Models side by side: their requests in a window and in the preceding one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truthline.extras import extra
from truthline.plots.shapes import Compared, InferenceStats, Models, ModelStats
from truthline.plots.theme import (
    BLUE,
    FAINT,
    GRID,
    QUIET,
    UNSEEN_TICKS,
    VERMILION,
    Clock,
    dress,
    escape,
)

if TYPE_CHECKING:  # a package that need not be there
    from plotly.graph_objects import Figure

# With more models bars are too thin; the busiest come first.
MOST_MODELS = 12
MINUS = "\N{MINUS SIGN}"
# Room for text after the longest bar, as a fraction of it.
HEADROOM = 1.5


@dataclass(frozen=True)
class Panel:
    """A measure, its factor to the displayed unit, and its number format."""

    title: str
    number: Callable[[ModelStats], Compared | None]
    factor: float
    form: str


PANELS = (
    Panel("Inferences", lambda one: one.inferences, 1, ",.0f"),
    Panel("Failed requests, %", lambda one: one.error_rate, 100, ".2f"),
    Panel("Mean latency, ms", lambda one: one.latency_seconds, 1000, ",.1f"),
)


def periods(stats: InferenceStats) -> "Figure":
    """Inferences, failed requests and latency of each model in both periods."""
    subplots = extra("plotly.subplots", "plot")
    made = subplots.make_subplots(cols=len(PANELS), shared_yaxes=True, horizontal_spacing=0.04)
    shown = stats.models[:MOST_MODELS]
    dress(
        made,
        "Inferences, period over period",
        _what(stats, len(stats.models) - len(shown)),
        height=196 + 76 * max(len(shown), 1),
        barmode="group",
        bargap=0.35,
        bargroupgap=0.06,
        margin={"l": 24, "r": 24, "t": 116, "b": 64},
    )
    for column, panel in enumerate(PANELS, 1):
        _bars(made, column, panel, shown)
    _list_names(made, len(shown))
    return made


def _what(stats: InferenceStats, left_out: int) -> str:
    total = stats.totals and stats.totals.inferences
    change = _change(total) if total else ""
    clock = Clock.of("UTC", ())
    said = [
        f"{clock.span(stats.start, stats.end)} UTC, compared with the preceding period",
        f"{total.now or 0:,.0f} inferences" + (f" ({change})" if change else "") if total else "",
        f"{left_out} more models are not shown" if left_out else "",
    ]
    return " · ".join(filter(None, said))


def _bars(made: Any, column: int, panel: Panel, models: Sequence[ModelStats]) -> None:
    """Two bars per model; number and change follow the bar of the current window."""
    compared = [panel.number(one) for one in models]
    now = [one and _scaled(one.now, panel.factor) for one in compared]
    before = [one and _scaled(one.previous, panel.factor) for one in compared]
    words = [
        f"<b>{value:{panel.form}}</b>  {_change(one)}" if one and value is not None else ""
        for value, one in zip(now, compared, strict=True)
    ]
    for name, values, color, text in (
        ("This period", now, BLUE, words),
        ("Previous period", before, FAINT, None),
    ):
        made.add_bar(
            x=values,
            y=[escape(str(one)) for one in models],
            orientation="h",
            name=name,
            marker={"color": color},
            text=text,
            textposition="outside",
            textfont={"color": QUIET, "size": 12},
            cliponaxis=False,
            legendgroup=name,
            showlegend=column == 1,
            hovertemplate=f"<b>%{{y}}</b><br>%{{x:{panel.form}}}, {name.lower()}<extra></extra>",
            row=1,
            col=column,
        )
    longest = max((value for value in (*now, *before) if value), default=1)
    made.update_xaxes(title_text=panel.title, range=[0, longest * HEADROOM], nticks=5, col=column)


def _scaled(number: float | None, factor: float) -> float | None:
    return None if number is None else number * factor


def _change(compared: Compared) -> str:
    return "" if compared.change is None else f"{compared.change:+.0%}".replace("-", MINUS)


def requests(models: Models) -> "Figure":
    """Successful and failed requests per model, by name."""
    made = extra("plotly.graph_objects", "plot").Figure()
    clock = Clock.of("UTC", ())
    dress(
        made,
        "Requests by model",
        f"{clock.span(models.start, models.end)} UTC · {len(models.models)} models",
        height=196 + 38 * max(len(models.models), 2),
        barmode="stack",
        bargap=0.4,
        margin={"l": 24, "r": 24, "t": 116, "b": 64},
    )
    totals = [(one.inferences or 0) + (one.errors or 0) for one in models.models]
    words = [f"<b>{total:,}</b>" for total in totals]
    for name, counts, color, text in (
        ("Answered", [one.inferences for one in models.models], BLUE, None),
        ("Failed", [one.errors for one in models.models], VERMILION, words),
    ):
        made.add_bar(
            x=counts,
            y=[escape(str(one)) for one in models.models],
            orientation="h",
            name=name,
            marker={"color": color},
            text=text,
            textposition="outside",
            textfont={"color": QUIET, "size": 12},
            cliponaxis=False,
            hovertemplate=f"<b>%{{y}}</b><br>%{{x:,}} {name.lower()}<extra></extra>",
        )
    made.update_xaxes(title_text="Requests", range=[0, max([1, *totals]) * 1.08])
    _list_names(made, len(models.models))
    return made


def _list_names(made: Any, number: int) -> None:
    """Models from top to bottom, with enough height."""
    made.update_xaxes(showgrid=True, gridcolor=GRID, zeroline=False)
    # names, even if they look like numbers or dates
    made.update_yaxes(type="category", showgrid=False, automargin=True, **UNSEEN_TICKS)
    made.update_yaxes(range=[number - 0.5, -0.5])
