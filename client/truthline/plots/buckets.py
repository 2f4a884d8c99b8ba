"""Metrics over time: lines with gaps for buckets without truths, above numbers of truths."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from truthline.plots.shapes import AveragedMetrics, Bucket, Metrics
from truthline.plots.theme import (
    BLUE,
    FAINT,
    GAP,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    Clock,
    dress,
    escape,
    figure,
)

if TYPE_CHECKING:  # a package that need not be there
    from plotly.graph_objects import Figure


@dataclass(frozen=True)
class Style:
    """Style of a metric; each has a different colour, dash and marker."""

    metric: str
    name: str
    color: str
    dash: str
    symbol: str


CLASSIFICATION = (
    Style("accuracy", "Accuracy", BLUE, "solid", "circle"),
    Style("precision", "Precision", VERMILION, "dash", "square"),
    Style("recall", "Recall", GREEN, "dot", "diamond"),
    Style("f1", "F1", PURPLE, "dashdot", "triangle-up"),
    Style("specificity", "Specificity", ORANGE, "longdash", "x"),
)
ERRORS = (
    Style("mean_absolute_error", "Mean absolute error", BLUE, "solid", "circle"),
    Style("root_mean_squared_error", "Root mean squared error", VERMILION, "dash", "square"),
)
SQUARED = (Style("mean_squared_error", "Mean squared error", GREEN, "dot", "diamond"),)
# With more buckets, markers would overlap.
MANY_BUCKETS = 150


def classification(answer: AveragedMetrics, metrics: Iterable[str] | None = None) -> "Figure":
    """All or the named of accuracy, precision, recall, F1 and specificity over time."""
    styles = [style for style in CLASSIFICATION if metrics is None or style.metric in set(metrics)]
    made = figure(2, (0.78, 0.22), vertical_spacing=0.06)
    chart = _Chart(made, answer, answer.buckets)
    chart.lines(1, styles)
    chart.truths(2)
    made.update_yaxes(title_text="Metric, 0 to 1", range=[-0.04, 1.04], row=1, col=1)
    return chart.finish("classification metrics", f"{answer.average} average", rows=2, height=560)


def regression(answer: Metrics, unit: str = "") -> "Figure":
    """MAE and RMSE, in the model's unit, and MSE, in its square, over time."""
    made = figure(3, (0.46, 0.32, 0.22), vertical_spacing=0.06)
    chart = _Chart(made, answer, answer.buckets)
    chart.lines(1, ERRORS, unit)
    chart.lines(2, SQUARED, f"{unit}²" if unit else "")
    chart.truths(3)
    shown = unit or "model's unit"
    squared = escape(f"{unit}²" if unit else "unit²")
    made.update_yaxes(title_text=f"Error, {escape(shown)}", rangemode="tozero", row=1, col=1)
    made.update_yaxes(title_text=f"Squared error, {squared}", rangemode="tozero", row=2)
    return chart.finish("regression errors", "", rows=3, height=680)


class _Chart:
    """Panels of one figure over the same buckets."""

    def __init__(self, made: Any, answer: Metrics, buckets: Sequence[Bucket]) -> None:
        self.made = made
        self.answer = answer
        self.buckets = buckets
        self.clock = Clock.of(answer.time_zone, (end for b in buckets for end in (b.start, b.end)))
        self.middles = [self.clock.at(b.start) + (b.end - b.start) / 2 for b in buckets]
        self.spans = [self.clock.span(b.start, b.end) for b in buckets]

    def lines(self, row: int, styles: Iterable[Style], unit: str = "") -> None:
        """A line per metric, with gaps for buckets without a value."""
        for place, style in enumerate(styles):
            self.made.add_scatter(
                x=self.middles,
                y=[getattr(bucket, style.metric) for bucket in self.buckets],
                name=style.name,
                mode="lines+markers" if len(self.buckets) <= MANY_BUCKETS else "lines",
                line={"color": style.color, "dash": style.dash, "width": 2},
                marker={"symbol": style.symbol, "size": 8, "line": {"color": "white", "width": 1}},
                connectgaps=False,
                cliponaxis=False,
                customdata=[(span, b.n) for span, b in zip(self.spans, self.buckets, strict=True)],
                hovertemplate=(
                    f"<b>{style.name}</b> %{{y:.4~g}} {escape(unit)}<br>%{{customdata[0]}}"
                    "<br>%{customdata[1]:,} truths<extra></extra>"
                ),
                legendrank=row * 100 + place,
                row=row,
                col=1,
            )

    def truths(self, row: int) -> None:
        """Numbers of truths per bucket."""
        self.made.add_bar(
            x=self.middles,
            y=[bucket.n for bucket in self.buckets],
            width=[(b.end - b.start) / timedelta(milliseconds=1) * 0.9 for b in self.buckets],
            marker={"color": FAINT, "line": {"width": 0}},
            customdata=[
                (span, b.predictions) for span, b in zip(self.spans, self.buckets, strict=True)
            ],
            hovertemplate=(
                "<b>%{y:,}</b> truths of %{customdata[1]:,} predictions<br>%{customdata[0]}"
                "<extra></extra>"
            ),
            showlegend=False,
            row=row,
            col=1,
        )
        self.made.update_yaxes(title_text="Truths", rangemode="tozero", nticks=4, row=row, col=1)

    def finish(self, what: str, how: str, *, rows: int, height: int) -> "Figure":
        """Title, gaps, and the axis of time."""
        without = self._shade_gaps()
        subject = self.answer.subject
        said = [self._window(), how, without, "" if self.answer.exact else "edges moved"]
        dress(
            self.made,
            f"{subject}: {what}",
            " · ".join(filter(None, said)),
            height=height,
            hovermode="closest",
        )
        if self.buckets:
            axis = self.clock.axis(self.buckets[0].start, self.buckets[-1].end)
            self.made.update_xaxes(**axis)
        self.made.update_xaxes(title_text=f"Time ({self.clock.name})", row=rows)
        return self.made

    def _window(self) -> str:
        if not self.buckets:
            return ""
        span = self.clock.span(self.buckets[0].start, self.buckets[-1].end)
        return f"{span} {self.clock.name}"

    def _shade_gaps(self) -> str:
        """Shade buckets without truths; returns a sentence with their number."""
        for first, last in _runs([not bucket.n for bucket in self.buckets]):
            self.made.add_vrect(
                x0=self.clock.at(self.buckets[first].start),
                x1=self.clock.at(self.buckets[last].end),
                fillcolor=GAP,
                line_width=0,
                layer="below",
            )
        empty = sum(not bucket.n for bucket in self.buckets)
        return f"{empty} of {len(self.buckets)} buckets without a truth (shaded)" if empty else ""


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last place of each run of true flags."""
    firsts = [n for n, flag in enumerate(flags) if flag and (n == 0 or not flags[n - 1])]
    lasts = [
        n for n, flag in enumerate(flags) if flag and (n + 1 == len(flags) or not flags[n + 1])
    ]
    return list(zip(firsts, lasts, strict=True))
