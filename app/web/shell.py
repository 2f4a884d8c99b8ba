"""The frame of every page: its header, and the controls that determine the URL."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component

from app.errors import InvalidInput
from app.query.window import zones
from app.subpath import at_root
from app.web.question import INTERVALS, RANGES, REFRESHES, Question, common, iso_utc, query_string
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
            _select("range", "Time range", _range_choices(), w=170),
            _moment("start", "From"),
            _moment("end", "To"),
            _select("interval", "Interval", _interval_choices(), w=110),
            _select("zone", "Time zone", sorted(zones()), w=180, searchable=True),
            _moment("as-of", "As known at", placeholder="now", clearable=True),
            _select("refresh", "Refresh", [{"value": OFF, "label": "off"}, *REFRESHES], w=90),
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


def _select(name: str, label: str, choices: list[Any], **more: Any) -> Component:
    return dmc.Select(
        id=name,
        label=label,
        data=choices,
        size="xs",
        allowDeselect=False,
        comboboxProps={"width": "max-content", "position": "bottom-start"},
        **more,
    )


def _moment(name: str, label: str, **more: Any) -> Component:
    return dmc.DateTimePicker(
        id=name,
        label=label,
        size="xs",
        withSeconds=True,
        valueFormat="YYYY-MM-DD HH:mm:ss",
        w=170,
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
    members.pop("bucket", None)
    if control == "range":
        range_members = {"startTime": None, "endTime": None, "range": value, "interval": None}
        if value == CUSTOM:
            range_members = _fixed(question) | {"range": None}
        return members | range_members
    if control in ("start", "end"):
        chosen = {f"{control}Time": _instant(question, value), "range": None}
        return members | _fixed(question) | chosen
    name = {"interval": "interval", "zone": "timeZone", "as-of": "asOf", "refresh": "refresh"}[
        control
    ]
    if control == "as-of":
        value = _instant(question, value)
    return members | {name: None if value in (AUTOMATIC, OFF) else value}


def _fixed(question: Question) -> dict[str, str | None]:
    window = question.window
    return {"startTime": iso_utc(window.start), "endTime": iso_utc(window.end)}


def _instant(question: Question, value: str | None) -> str | None:
    """The instant of a date picker, whose value is a local time.

    Raises:
        InvalidInput: it is not a time, or out of range in UTC.
    """
    if not value:
        return None
    try:
        return iso_utc(datetime.fromisoformat(value).replace(tzinfo=ZoneInfo(question.zone)))
    except (ValueError, OverflowError):
        raise InvalidInput("this is not a valid time") from None


PAGES = (("/", "Models"), ("/executions", "Executions"), ("/status", "Status"))


# Pages that belong to another page in the navigation.
BELOW = {"/model": "/"}


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
