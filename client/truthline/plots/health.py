"""Health of a deployment over time: requests, latency, and the distribution of values."""

from datetime import timedelta
from typing import TYPE_CHECKING

from truthline.plots.shapes import Health
from truthline.plots.theme import BLUE, GREEN, QUIET, VERMILION, Clock, dress, figure

if TYPE_CHECKING:  # a package that need not be there
    from plotly.graph_objects import Figure


def over_time(health: Health) -> "Figure":
    """Requests and latency, and for a regressor the distribution of its values."""
    spread = health.spreads is not None
    heights = (0.38, 0.26, 0.36) if spread else (0.6, 0.4)
    made = figure(len(heights), heights, vertical_spacing=0.07)
    buckets = health.buckets
    clock = Clock.of("UTC", ())
    middles = [clock.at(b.start) + (b.end - b.start) / 2 for b in buckets]
    spans = [clock.span(b.start, b.end) for b in buckets]
    widths = [(b.end - b.start) / timedelta(milliseconds=1) * 0.92 for b in buckets]
    for name, counts, color in (
        ("Answered", [b.predictions for b in buckets], BLUE),
        ("Failed", [b.failures for b in buckets], VERMILION),
    ):
        made.add_bar(
            x=middles,
            y=counts,
            width=widths,
            name=name,
            marker={"color": color},
            customdata=spans,
            hovertemplate=f"<b>%{{y:,}}</b> {name.lower()}<br>%{{customdata}}<extra></extra>",
            row=1,
            col=1,
        )
    made.add_scatter(
        x=middles,
        y=[b.latency_ms for b in buckets],
        name="Mean latency",
        mode="lines+markers",
        line={"color": GREEN, "width": 2},
        marker={"symbol": "diamond", "size": 8},
        connectgaps=False,
        cliponaxis=False,
        customdata=spans,
        hovertemplate="<b>%{y:,.4~g} ms</b> mean latency<br>%{customdata}<extra></extra>",
        row=2,
        col=1,
    )
    made.update_yaxes(title_text="Requests", rangemode="tozero", row=1)
    made.update_yaxes(title_text="Latency, ms", rangemode="tozero", row=2)
    if health.spreads is not None:
        at = dict(zip((b.start for b in buckets), middles, strict=True))
        made.add_box(
            x=[at[one.start] for one in health.spreads],
            lowerfence=[one.minimum for one in health.spreads],
            q1=[one.quartile1 for one in health.spreads],
            median=[one.median for one in health.spreads],
            q3=[one.quartile3 for one in health.spreads],
            upperfence=[one.maximum for one in health.spreads],
            name="Minimum, quartiles, maximum",
            marker={"color": QUIET},
            width=min(widths, default=0) * 0.5,
            row=3,
            col=1,
        )
        made.update_yaxes(title_text="Predicted value", row=3)
    latency = health.mean_latency_ms
    said = [
        f"{clock.span(buckets[0].start, buckets[-1].end)} UTC" if buckets else "",
        "" if health.total_predictions is None else f"{health.total_predictions:,} predictions",
        "" if latency is None else f"mean latency {latency:,.3g} ms",
    ]
    dress(
        made,
        f"{health.deployment}: health",
        " · ".join(filter(None, said)),
        height=720 if spread else 560,
        barmode="stack",
    )
    if buckets:
        made.update_xaxes(**clock.axis(buckets[0].start, buckets[-1].end))
    made.update_xaxes(title_text="Time (UTC)", row=3 if spread else 2)
    return made
