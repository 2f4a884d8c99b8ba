"""The question of a page: the query of its URL, parsed and formatted.

The names are those of the API's parameters. The URL alone determines what a page shows, so a link
shows everyone the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from app.errors import InvalidInput
from app.query.question import Question as Query
from app.query.subjects import Scope
from app.query.tags import TagFilter
from app.query.window import (
    Calendar,
    Grid,
    Window,
    average_length,
    ending,
    fixed_grid,
    zones,
)
from app.store.registry import ModelName

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RANGES = {
    "15m": (15 * MINUTE, "Last 15 minutes"),
    "1h": (HOUR, "Last hour"),
    "3h": (3 * HOUR, "Last 3 hours"),
    "6h": (6 * HOUR, "Last 6 hours"),
    "24h": (DAY, "Last 24 hours"),
    "7d": (7 * DAY, "Last 7 days"),
    "30d": (30 * DAY, "Last 30 days"),
    "90d": (90 * DAY, "Last 90 days"),
    "1y": (365 * DAY, "Last 365 days"),
}
DEFAULT_RANGE = "24h"
INTERVALS: dict[str, timedelta | Calendar] = {
    **{f"{n}s": timedelta(seconds=n) for n in (1, 5, 10, 30)},
    **{f"{n}m": n * MINUTE for n in (1, 5, 10, 15, 30)},
    **{f"{n}h": n * HOUR for n in (1, 2, 3, 6, 12)},
    "1d": Calendar(days=1),
    "1w": Calendar(days=7),
    "1mo": Calendar(months=1),
}
REFRESHES = {"5s": 5, "10s": 10, "30s": 30, "1m": 60, "5m": 300}
# More are illegible in a chart; a narrower interval can be chosen.
AUTOMATIC_BUCKETS = 100
MAX_BUCKETS = 2_000
# Windows end on an edge of cells, or on a full minute if they are short, so that no cells are cut.
STEP, SHORT, SHORT_STEP = 5 * MINUTE, 6 * HOUR, MINUTE


@dataclass(frozen=True, slots=True)
class Question:
    """A window divided into buckets, a moment, and the scope of a model.

    `members` contains the parameters as given. `bucket` is an instant in the selected bucket.
    `after` and `before` are selected windows, None if the URL has none; `before_version` is the
    version that the other one is compared with.
    """

    members: Mapping[str, str]
    window: Window
    grid: Grid
    interval: str
    zone: str
    as_of: datetime | None
    scope: Scope
    bucket: datetime | None
    after: Window | None
    before: Window | None

    @classmethod
    def read(cls, search: str, now: datetime) -> Self:
        """Parse a URL's query; absent parameters have defaults.

        Raises:
            InvalidInput: a parameter is invalid; the text says why.
            InvalidWindow: the window is empty, or has too many buckets.
        """
        members = members_of(search)
        if any("\0" in text for text in members.values()):
            raise InvalidInput("a text must not contain the character NUL")
        zone = _zone(members)
        as_of = _instant(members, "asOf", ZoneInfo(zone))
        window = _window(members, ZoneInfo(zone), now, as_of)
        interval = _interval(members, window)
        grid = grid_of(interval, window, zone)
        grid.check(window, MAX_BUCKETS)
        return cls(
            members,
            window,
            grid,
            interval,
            zone,
            as_of,
            _scope(members),
            _instant(members, "bucket", ZoneInfo(zone)),
            _span(members, "after", ZoneInfo(zone)),
            _span(members, "before", ZoneInfo(zone)) if _compares(members) else None,
        )

    def as_query(self, workspace_id: int) -> Query[Scope]:
        """The question for query functions."""
        return Query(workspace_id, self.scope, self.window, self.grid, self.as_of)

    @property
    def compares(self) -> bool:
        """Whether numbers are compared with others."""
        return _compares(self.members)

    @property
    def before_version(self) -> str | None:
        """The version to compare with; None if it is the same."""
        return (self.members.get("beforeVersion") or None) if self.compares else None

    @property
    def model(self) -> ModelName:
        """The name of the model."""
        return self.scope.name

    def local(self, instant: datetime) -> datetime:
        """An instant in the time zone of the question."""
        return instant.astimezone(ZoneInfo(self.zone))

    def clock(self, instant: datetime) -> datetime:
        """The local time without its zone, as charts need it."""
        return self.local(instant).replace(tzinfo=None)

    @property
    def range(self) -> str:
        """The name of a range up to `as_of` or now; empty if start and end are given."""
        has_edges = "startTime" in self.members or "endTime" in self.members
        return "" if has_edges else self.members.get("range", DEFAULT_RANGE)


# Two times, with a slash between them as in ISO 8601, or a word.
BETWEEN = re.compile(r"\s*/\s*|\s+to\s+")
# Separates the tags of a URL, which can have several, among the members.
TAGS = "\x1e"
# Nothing is compared.
NOTHING = "none"
# The choice of all versions or deployments.
EVERY = "*"
# What is selected within a window.
SELECTED = ("after", "before", "bucket")
# Parameters of individual pages.
OF_A_PAGE = (
    *("namespace", "pipeline", "model", "deployment", "version", "tag", "bucket", "average"),
    *("after", "before", "beforeVersion", "classes", "positiveClass"),
    *("execution", "metric", "offset", "sort", "q", "kind", "show"),
    *(
        "request",
        "time",
        "cursor",
        "predictedLabel",
        "actualLabel",
        "wrong",
        "unlabelled",
        "failed",
    ),
    *("minConfidence", "maxConfidence", "minError"),
    *("monitor", "part", "watch", "quantile"),
)


def members_of(search: str) -> dict[str, str]:
    """The parameters of a URL's query."""
    pairs = parse_qsl(search.lstrip("?"))
    tags = [text for name, text in pairs if name == "tag"]
    return dict(pairs) | ({"tag": TAGS.join(tags)} if tags else {})


def common(members: Mapping[str, str]) -> dict[str, str]:
    """The parameters that links to other pages keep."""
    return {name: value for name, value in members.items() if name not in OF_A_PAGE}


def query_string(members: Mapping[str, str | None]) -> str:
    """Parameters as a URL's query; empty ones are omitted."""
    non_empty = [
        (name, text)
        for name, value in members.items()
        if value
        for text in (value.split(TAGS) if name == "tag" else [value])
    ]
    return "?" + urlencode(non_empty, safe=":/") if non_empty else ""


def iso_utc(instant: datetime) -> str:
    """An instant in UTC, as URLs and CSV contain it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _scope(members: Mapping[str, str]) -> Scope:
    name = ModelName(*(members.get(part, "") for part in ("namespace", "pipeline", "model")))
    tags = TagFilter.of(filter(None, members.get("tag", "").split(TAGS)))
    return Scope(name, members.get("deployment") or None, members.get("version") or None, tags)


def _zone(members: Mapping[str, str]) -> str:
    zone = members.get("timeZone", "UTC")
    if zone not in zones():
        raise InvalidInput("the time zone must be one like Europe/Paris")
    return zone


def _window(
    members: Mapping[str, str], zone: ZoneInfo, now: datetime, as_of: datetime | None
) -> Window:
    """The window of a URL: its start and end, or a range up to the requested moment or to now."""
    start, end = (_instant(members, name, zone) for name in ("startTime", "endTime"))
    if start and end:
        return Window(start, end)
    if start or end:
        raise InvalidInput("a window needs both its start and its end")
    name = members.get("range", DEFAULT_RANGE)
    if name not in RANGES:
        raise InvalidInput(f"the range must be one of {', '.join(RANGES)}")
    length, _ = RANGES[name]
    if as_of:
        return ending(as_of, length)
    step = SHORT_STEP if length < SHORT else STEP
    end = (
        datetime.min.replace(tzinfo=UTC)
        + -(-(now - datetime.min.replace(tzinfo=UTC)) // step) * step
    )
    return Window(end - length, end)


def _interval(members: Mapping[str, str], window: Window) -> str:
    name = members.get("interval", "")
    if not name:
        return automatic_interval(window)
    if name not in INTERVALS:
        raise InvalidInput(f"the interval must be one of {', '.join(INTERVALS)}")
    return name


def automatic_interval(window: Window, buckets: int = AUTOMATIC_BUCKETS) -> str:
    """The narrowest interval that divides a window into at most this number of buckets."""
    narrowest = window.length / buckets
    fits = (name for name, width in INTERVALS.items() if average_length(width) >= narrowest)
    return next(fits, "1mo")


def grid_of(interval: str, window: Window, zone: str) -> Grid:
    """The grid of an interval; a window shorter than every interval is one bucket."""
    return fixed_grid(INTERVALS[interval], zone) if window.length >= SECOND else Grid()


def _compares(members: Mapping[str, str]) -> bool:
    return members.get("before") != NOTHING


def _span(members: Mapping[str, str], name: str, zone: ZoneInfo) -> Window | None:
    """A window written as two times."""
    text = members.get(name, "").strip()
    if not text:
        return None
    edges = BETWEEN.split(text)
    if len(edges) != 2:  # noqa: PLR2004 - a start and an end
        raise InvalidInput(f"{name} must be two times like 2026-03-01T10:00Z/2026-03-01T11:00Z")
    start, end = (_instant({name: edge}, name, zone) for edge in edges)
    if start is None or end is None:
        raise InvalidInput(f"{name} needs both its start and its end")
    return Window(start, end)


def _instant(members: Mapping[str, str], name: str, zone: ZoneInfo) -> datetime | None:
    text = members.get(name, "")
    if not text:
        return None
    try:
        parsed = datetime.fromisoformat(text)
        instant = (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC)
        instant.astimezone(zone)  # the page shows it in this zone
    except (ValueError, OverflowError):
        raise InvalidInput(f"{name} must be a time like 2026-03-01T10:00:00Z") from None
    return instant
