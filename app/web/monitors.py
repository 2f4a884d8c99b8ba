"""All monitors: what fires first, each with its state, since when, and whether it is silenced."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from app.monitors.definition import FIRING
from app.monitors.receivers import Receiver, receivers_of
from app.monitors.stored_monitors import Monitor, PartState, monitors_of
from app.monitors.words import watches_in_words
from app.web import markup as html
from app.web.panels import Node, Page, Panel, PanelContext, Rows
from app.web.question import Question, common, iso_utc, query_string
from app.web.tables import note, table
from app.web.units import UNKNOWN, count, format_number, moment

# What needs attention first.
STATES = ("critical", "warning", "pending", "undecided", "no data", "ok")
NOT_JUDGED = "not judged yet"
MOST_SHOWN = 500  # a browser takes seconds for more; the CSV has all
NO_MONITORS = (
    "There are no monitors. “Make a monitor” above a chart of a model's page makes one, or"
    " PUT /api/v1/monitors/NAME."
)


@dataclass(frozen=True, slots=True)
class Line:
    """A part of a monitor; `state` is None before its first verdict."""

    monitor: Monitor
    state: PartState | None

    @property
    def state_name(self) -> str:
        """The state in words."""
        return self.state.state if self.state else NOT_JUDGED


def find_monitors(context: PanelContext) -> list[Monitor]:
    """The monitors of the workspace. Cost: two statements."""
    return monitors_of(context.conn, context.workspace_id)


def lines_of(monitors: Sequence[Monitor]) -> list[Line]:
    """A line per part of a monitor: what fires first, then by name."""
    lines = [Line(monitor, part) for monitor in monitors for part in _parts(monitor)]
    return sorted(lines, key=lambda line: _order(line.state_name))


def _parts(monitor: Monitor) -> Sequence[PartState | None]:
    return monitor.parts or [None]


def _order(state: str) -> int:
    return STATES.index(state) if state in STATES else len(STATES)


def show_monitors(question: Question, monitors: Sequence[Monitor]) -> list[Node]:
    """How many are in each state, and a row per part."""
    if not monitors:
        return [note(NO_MONITORS)]
    lines, now = lines_of(monitors), datetime.now(UTC)
    shown = [line for line in lines if _is_shown(question, line)]
    heads = [
        "Monitor",
        ("State", "text"),
        ("Since", "text"),
        "Value",
        ("Watches", "text"),
        ("Silenced now", "text"),
        "Dead messages",
    ]
    rows = [_row(question, line, now) for line in shown[:MOST_SHOWN]]
    left_out = len(shown) - len(rows)
    return [
        _counts(question, lines),
        table("Monitors", heads, rows, kind="classes monitors"),
        *([note(f"{left_out:,} more are not shown: see the CSV.")] * (left_out > 0)),
    ]


def _is_shown(question: Question, line: Line) -> bool:
    return question.members.get("show") in (None, "", line.state_name)


def _counts(question: Question, lines: Sequence[Line]) -> Markup:
    """How many parts are in each state, each a link that shows them alone."""
    counted = Counter(line.state_name for line in lines)
    shown = question.members.get("show", "")
    links = [
        html.A(
            [state or "All", html.Strong(count(counted[state] if state else len(lines)))],
            href="/monitors" + query_string({**question.members, "show": state}),
            className=f"state {'failing' if state in FIRING else ''}".strip(),
            **({"aria-current": "true"} if state == shown else {}),
        )
        for state in ("", *STATES, NOT_JUDGED)
        if not state or counted[state] or state == shown
    ]
    return html.Div(links, className="states", role="group", **{"aria-label": "By state"})


def _row(question: Question, line: Line, now: datetime) -> list[Markup | str]:
    definition, state = line.monitor.definition, line.state
    watches = watches_in_words(definition)
    silenced = "yes" if definition.silenced(now) else ""
    return [
        monitor_name(question, line.monitor, state.part if state else ""),
        html.Td(state_mark(line.state_name), className="text"),
        html.Td(moment(question.local(state.since)) if state else UNKNOWN, className="text"),
        in_unit(line.monitor, state.value if state else None),
        html.Td(html.Span(watches, className="watches", title=watches), className="text"),
        html.Td(silenced, className="text"),
        count(line.monitor.dead) if line.monitor.dead else "",
    ]


def monitor_name(question: Question, monitor: Monitor, part: str) -> Markup:
    """The name of a monitor as a link to its page, and the part."""
    link = html.A(monitor.name, href=monitor_link(question, monitor.name), className="name")
    return html.Span(
        [link, html.Span(part, className="quiet") if part else None],
        className="class",
        title=f"{monitor.name} {part}".strip(),
    )


def monitor_link(question: Question, name: str) -> str:
    """The URL of a monitor's page, with the same window."""
    return "/monitor" + query_string({**common(question.members), "monitor": name})


def state_mark(state: str) -> Markup:
    """A state with its colour; the text alone says it too."""
    return html.Span(state, className=f"verdict {state.replace(' ', '-')}")


def in_unit(monitor: Monitor, value: float | None) -> str:
    """A value of the monitor's metric."""
    return format_number(value, monitor.definition.watched.unit)


def monitor_rows(question: Question, monitors: Sequence[Monitor]) -> Rows:
    """A line per part."""
    yield ["monitor", "part", "state", "since", "value", "low", "high", "baseline", "n", "watches"]
    for line in lines_of(monitors):
        state = line.state
        if not _is_shown(question, line):
            continue
        numbers = [state.value, state.low, state.high, state.baseline, state.n] if state else []
        yield [
            line.monitor.name,
            state.part if state else "",
            line.state_name,
            iso_utc(state.since) if state else None,
            *(numbers or [None] * 5),
            watches_in_words(line.monitor.definition),
        ]


# --- receivers ----------------------------------------------------------------------------


def find_receivers(context: PanelContext) -> Sequence[Receiver]:
    """Who can be notified. Cost: one statement."""
    return receivers_of(context.conn, context.workspace_id)


def show_receivers(_: Question, receivers: Sequence[Receiver]) -> Node:
    """A row per receiver: where it is, without what is secret, and its messages."""
    if not receivers:
        return note("Nobody is notified: PUT /api/v1/receivers/NAME adds a receiver.")
    heads = ["Receiver", ("Kind", "text"), ("Host", "text"), "Waiting", "Dead"]
    rows = [
        [
            html.Span(one.name, className="class", title=one.name),
            html.Td(one.kind, className="text"),
            html.Td(one.host, className="text"),
            count(one.waiting),
            html.Td(count(one.dead), className="number dead" if one.dead else "number"),
        ]
        for one in receivers
    ]
    return table("Receivers", heads, rows, kind="classes")


# --- what fires now, for the overview ------------------------------------------------------


def show_firing(question: Question, monitors: Sequence[Monitor]) -> Node | None:
    """A line of links to what fires now; None if nothing does."""
    firing = [
        line for line in lines_of(monitors) if line.state is not None and line.state_name in FIRING
    ]
    if not firing:
        return None
    named = [_firing(question, line) for line in firing[:FEW_FIRING]]
    more = len(firing) - len(named)
    every = html.A(
        f"{more} more" if more > 0 else "all monitors",
        href="/monitors" + query_string(common(question.members)),
    )
    return html.P([html.Strong("Firing now:"), *named, every], className="firing sides")


FEW_FIRING = 5


def _firing(question: Question, line: Line) -> Markup:
    state = line.state
    assert state is not None  # noqa: S101 - it fires
    part = f" {state.part}" if state.part else ""
    return html.Span(
        [
            state_mark(state.state),
            " ",
            html.A(line.monitor.name + part, href=monitor_link(question, line.monitor.name)),
            f" since {moment(question.local(state.since))}",
        ],
        className="side",
    )


FIRING_NOW = Panel("firing", "", find_monitors, show_firing)
PAGE = Page(
    "/monitors",
    "",
    (
        Panel("monitors", "Monitors", find_monitors, show_monitors, monitor_rows),
        Panel("receivers", "Receivers", find_receivers, show_receivers),
    ),
)
