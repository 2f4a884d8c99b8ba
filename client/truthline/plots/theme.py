"""Common style of figures: font, colours suitable for the colour-blind, and time axes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from truthline.extras import extra

if TYPE_CHECKING:  # a package that need not be there
    from plotly.graph_objects import Figure

# The Okabe-Ito palette, distinguishable with every common colour blindness.
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE = "#CC79A7", "#E69F00"
INK, QUIET, FAINT, GRID = "#1F2933", "#616E7C", "#CBD2D9", "#E4E7EB"
# Background of buckets without data.
GAP = "#F1F3F5"
EN_DASH = "\N{EN DASH}"
# Distance between axis titles and labels.
UNSEEN_TICKS = {"ticks": "outside", "ticklen": 6, "tickcolor": "rgba(0,0,0,0)"}
FONT = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"


def figure(rows: int = 1, heights: Iterable[float] = (1,), **how: Any) -> "Figure":
    """Create an empty figure of panels in a column with a common time axis."""
    subplots = extra("plotly.subplots", "plot")
    return subplots.make_subplots(
        rows=rows, cols=1, row_heights=list(heights), shared_xaxes=True, **how
    )


def dress(made: Any, title: str, subtitle: str, *, height: int, **layout: Any) -> "Figure":
    """Add the title and the common layout."""
    made.update_layout(
        template="none",
        title={
            "text": f"<b>{escape(title)}</b>",
            "subtitle": {"text": escape(subtitle), "font": {"size": 13, "color": QUIET}},
            "font": {"size": 18, "color": INK},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"l": 24, "t": 24},
        },
        font={"family": FONT, "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        height=height,
        margin={"l": 76, "r": 28, "t": 116, "b": 72},
        hoverlabel={"font": {"family": FONT, "size": 13}, "align": "left"},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
    )
    axis = {"linecolor": FAINT, "title_font": {"size": 13, "color": QUIET}, "title_standoff": 10}
    made.update_xaxes(showgrid=False, ticks="outside", tickcolor=FAINT, **axis)
    made.update_yaxes(gridcolor=GRID, zeroline=False, **axis)
    return made.update_layout(**layout)


_AS_IT_IS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "{": "&#123;"})


def escape(text: str) -> str:
    """Escape text, so that names are not tags, TeX (between dollars) or template fields."""
    return text.translate(_AS_IT_IS)


_MILLISECOND = timedelta(milliseconds=1)
_SECONDS = (1, 2, 5, 10, 15, 30)
_HOURS = (1, 2, 3, 6, 12, 24, 48, 168)
_STEPS = tuple(
    [timedelta(seconds=n) for n in _SECONDS]
    + [timedelta(minutes=n) for n in _SECONDS]
    + [timedelta(hours=n) for n in _HOURS]
)
_MOST_TICKS = 9


@dataclass(frozen=True)
class Clock:
    """Wall-clock time in a zone, or UTC where the zone changes its clocks within the window.

    An axis can't show an hour twice, or skip one.
    """

    zone: tzinfo
    name: str

    @classmethod
    def of(cls, zone_name: str, instants: Iterable[datetime]) -> "Clock":
        """Choose the clock for these instants."""
        zone = ZoneInfo(zone_name)
        offsets = {instant.astimezone(zone).utcoffset() for instant in instants}
        if len(offsets) > 1:
            return cls(timezone.utc, "UTC")
        return cls(zone, zone_name)

    def at(self, instant: datetime) -> datetime:
        """Return the position on the axis."""
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def axis(self, start: datetime, end: datetime) -> dict[str, Any]:
        """Return the layout of the time axis."""
        fit = (step for step in _STEPS if (end - start) / step <= _MOST_TICKS)
        step = next(fit, None)
        first, last = self.at(start), self.at(end)
        ticks = {} if step is None else {"tick0": first.date(), "dtick": step / _MILLISECOND}
        return {"range": [first, last], **ticks}

    def span(self, start: datetime, end: datetime) -> str:
        """Format a range to the second, or finer if needed; a common day is shown once."""
        first, last = self.at(start), self.at(end)
        shown = _clock_time(last) if first.date() == last.date() else _date_time(last)
        return f"{_date_time(first)} {EN_DASH} {shown}"


def _date_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d} {_clock_time(moment)}"


def _clock_time(moment: datetime) -> str:
    if moment.microsecond:
        return f"{moment:%H:%M:%S.%f}".rstrip("0")
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
