"""The frame of every page: its header, and the controls that determine the URL."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from app.errors import InvalidInput
from app.query.window import zones
from app.subpath import at_root
from app.web.question import (
    INTERVALS,
    RANGES,
    REFRESHES,
    SELECTED,
    Question,
    common,
    iso_utc,
    query_string,
)
from app.web.selects import select
from app.web.tables import labelled
from app.web.units import length

CUSTOM = "custom"
# The controls, in the order of the callback that reads and writes them.
CONTROLS = ("range", "start", "end", "interval", "zone", "as-of", "refresh")
AUTOMATIC = "auto"
OFF = "off"
NOW = "now"


def controls() -> Component:
    """All controls of a page."""
    return html.Div(
        [
            select("range", _range_choices(), label="Time range", w=170),
            _moment("start", "From"),
            _moment("end", "To"),
            select("interval", _interval_choices(), label="Interval", w=110),
            select("zone", sorted(zones()), label="Time zone", w=180, searchable=True),
            _moment("as-of", "As known at", placeholder="now"),
            select("refresh", [OFF, *REFRESHES], label="Refresh", w=90),
        ],
        className="controls",
        role="group",
        **labelled("What is shown"),
    )


def _range_choices() -> list[dict[str, str]]:
    ranges = [{"value": name, "label": words} for name, (_, words) in RANGES.items()]
    return [*ranges, {"value": CUSTOM, "label": "From … to …"}]


def _interval_choices() -> list[dict[str, str]]:
    by_width = [{"value": name, "label": length(width)} for name, width in INTERVALS.items()]
    return [{"value": AUTOMATIC, "label": "automatic"}, *by_width]


def _moment(name: str, label: str, **more: Any) -> Component:
    """A time to type, paste or pick: assets/moments.js opens the browser's own calendar."""
    pick = html.Button(
        "▾", type="button", className="pick", **labelled(f"{label}: open the calendar")
    )
    return dmc.TextInput(
        id=name,
        label=label,
        size="xs",
        debounce=True,
        rightSection=pick,
        w=172,
        autoComplete="off",
        className="moment",
        **more,
    )


def state(question: Question) -> list[Any]:
    """The values of the controls for a question."""
    local = [question.local(edge) for edge in (question.window.start, question.window.end)]
    return [
        question.range or CUSTOM,
        *(_wall(edge) for edge in local),
        question.members.get("interval") or AUTOMATIC,
        question.zone,
        _wall(question.local(question.as_of)) if question.as_of else None,
        question.members.get("refresh") or OFF,
    ]


def _wall(local: datetime) -> str:
    return local.strftime("%Y-%m-%d %H:%M:%S")


def changed(question: Question, control: str, value: str | None) -> dict[str, str | None]:
    """The members of the URL after a control was changed."""
    members: dict[str, str | None] = dict(question.members)
    for name in ("bucket", "cursor"):  # they are of what was shown
        members.pop(name, None)
    if control in ("range", "start", "end"):  # what was selected may lie outside
        members = {name: text for name, text in members.items() if name not in SELECTED}
    if control == "range":
        range_members = {"startTime": None, "endTime": None, "range": value, "interval": None}
        if value == CUSTOM:
            range_members = _fixed(question) | {"range": None}
        return members | range_members
    if control in ("start", "end"):
        chosen = {f"{control}Time": _instant(question, value), "range": None}
        return members | _ordered(question, _fixed(question) | chosen, control)
    name = {"interval": "interval", "zone": "timeZone", "as-of": "asOf", "refresh": "refresh"}[
        control
    ]
    if control == "as-of":
        value = _instant(question, value)
    return members | {name: None if value in (AUTOMATIC, OFF) else value}


def _fixed(question: Question) -> dict[str, str | None]:
    window = question.window
    return {"startTime": iso_utc(window.start), "endTime": iso_utc(window.end)}


def _ordered(
    question: Question, members: dict[str, str | None], control: str
) -> dict[str, str | None]:
    """The edges of a window: if one was moved past the other, that moves too."""
    start, end = members["startTime"], members["endTime"]
    if not start or not end:
        return members
    edges = datetime.fromisoformat(start), datetime.fromisoformat(end)
    length = question.window.length
    try:
        if edges[0] >= edges[1]:
            moved = edges[0] + length if control == "start" else edges[1] - length
            members["endTime" if control == "start" else "startTime"] = iso_utc(moved)
    except OverflowError:
        raise InvalidInput("the window reaches beyond the calendar") from None
    return members


def _instant(question: Question, value: str | None) -> str | None:
    """The instant that a reader typed, picked or pasted; None if empty or `now`.

    ISO 8601 with or without an offset, a time of today, or a Unix time in seconds or milliseconds.

    Raises:
        InvalidInput: it is not a time, or out of range in UTC.
    """
    text = (value or "").strip()
    if not text or text.casefold() == NOW:
        return None
    try:
        return iso_utc(_parsed(text, ZoneInfo(question.zone)))
    except (ValueError, OverflowError, OSError):
        raise InvalidInput(
            f"“{text[:40]}” is not a time; type one like 2026-03-01 10:00, 10:00 for today, or"
            " 2026-03-01T10:00:00Z"
        ) from None


# A Unix time has at least this many digits; from the second number on they are milliseconds.
UNIX_DIGITS, UNIX_MILLISECONDS = 9, 12


def _parsed(text: str, zone: ZoneInfo) -> datetime:
    if text.isdigit() and len(text) >= UNIX_DIGITS:
        unit = timedelta(milliseconds=1) if len(text) >= UNIX_MILLISECONDS else timedelta(seconds=1)
        return datetime(1970, 1, 1, tzinfo=UTC) + int(text) * unit
    if ":" in text[:3]:
        today = datetime.now(zone).date()
        return datetime.combine(today, time.fromisoformat(text.zfill(5)), zone)
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)


PAGES = (
    ("/", "Models"),
    ("/monitors", "Monitors"),
    ("/executions", "Executions"),
    ("/status", "Status"),
)
APPLICATION = "Truthline"


def title(path: str, members: Mapping[str, str]) -> str:
    """What the browser's tab and its history show: the subject first."""
    page = dict(PAGES).get(BELOW.get(path, path), "")
    subject = SUBJECTS.get(path, "")
    return " · ".join(part for part in (members.get(subject, ""), page, APPLICATION) if part)


# The parameter that names what a page is about.
SUBJECTS = {
    "/model": "model",
    "/drift": "model",
    "/requests": "model",
    "/request": "request",
    "/executions": "execution",
    "/monitor": "monitor",
    "/new-monitor": "model",
}


# Pages that belong to another page in the navigation.
BELOW = dict.fromkeys(("/model", "/drift", "/requests", "/request"), "/") | dict.fromkeys(
    ("/monitor", "/new-monitor"), "/monitors"
)


def navigation(path: str, members: Mapping[str, str]) -> list[Component]:
    """Links to the pages, with the same window."""
    return [
        dcc.Link(
            title,
            href=at_root(link) + query_string(common(members)),
            className="current" if link == BELOW.get(path, path) else "",
        )
        for link, title in PAGES
    ]
