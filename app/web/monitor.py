"""A monitor's page: where it stands, its states over time, verdicts and undelivered messages."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from app.errors import UnknownMonitor
from app.monitors.durations import parse_duration
from app.monitors.history import History, PastVerdict, history_of
from app.monitors.stored_monitors import Monitor, PartState, find_monitor
from app.monitors.undelivered import Undelivered, undelivered_of
from app.monitors.words import rule_in_words
from app.query.intervals import Interval
from app.query.measure import Unit
from app.web import charts, quality
from app.web import markup as html
from app.web.monitors import in_unit, state_mark
from app.web.panels import Node, Page, Panel, PanelContext, Rows
from app.web.question import TAGS, Question, common, iso_utc, query_string
from app.web.tables import note, table, tile
from app.web.units import UNKNOWN, count, format_number, moment

MOST_WINDOWS = 1000
SHOWN = 100  # rows; more are in the CSV
MOST_PARTS = 30  # of lines of states
NONE_JUDGED = "It has judged no window that ends in this time."
NOBODY = "nobody"


def find_one(context: PanelContext) -> Monitor:
    """The monitor of the URL. Cost: two statements.

    Raises:
        UnknownMonitor: the workspace has none of this name.
    """
    return find_monitor(context.conn, context.workspace_id, _name(context))


def _name(context: PanelContext) -> str:
    name = context.question.members.get("monitor", "")
    if not name:
        raise UnknownMonitor("the URL names no monitor")
    return name


# --- where it stands ------------------------------------------------------------------------


def show_one(question: Question, monitor: Monitor) -> list[Node]:
    """What it watches, its state, whom it notifies, and when it is silent."""
    definition = monitor.definition
    watches = f"{definition.watched.title} {rule_in_words(definition)}"
    every = "" if definition.step == definition.length else f", every {definition.every}"
    model = html.A(definition.model, href=_model_link(question, monitor))
    return [
        html.H1(monitor.name, className="model-name", title=monitor.name),
        html.P(
            [
                html.Span(["Fires if ", html.Strong(watches), f", per {definition.window}{every}"]),
                html.Span(["of ", model, _selected(monitor)]),
            ],
            className="sides",
        ),
        html.Dl(list(_tiles(question, monitor)), className="tiles words"),
    ]


def _selected(monitor: Monitor) -> str:
    definition = monitor.definition
    chosen = [definition.version, definition.deployment, *definition.tags]
    groups = f", each {definition.group_by}" if definition.group_by else ""
    return "".join(f", {text}" for text in chosen if text) + groups


def _tiles(question: Question, monitor: Monitor) -> Iterator[Markup]:
    definition = monitor.definition
    if not monitor.parts:
        yield tile("State", "not judged yet")
    for part in sorted(monitor.parts, key=lambda one: one.end, reverse=True)[:1]:
        yield from _standing(question, monitor, part)
    if len(monitor.parts) > 1:
        yield tile("Parts", count(len(monitor.parts)))
    yield tile("Notifies", ", ".join(definition.notify) or NOBODY)
    yield tile("Silenced", _silences(monitor))
    yield tile("Dead messages", format_number(monitor.dead, Unit.COUNT))


def _standing(question: Question, monitor: Monitor, part: PartState) -> Iterator[Markup]:
    if len(monitor.parts) == 1:
        yield tile("State", state_mark(part.state))
        yield tile("Since", moment(question.local(part.since)))
        yield tile("Value", in_unit(monitor, part.value))
    yield tile("Last window ended", moment(question.local(part.end)))


def _silences(monitor: Monitor) -> str:
    definition = monitor.definition
    if not definition.silence:
        return "never"
    now = "now" if definition.silenced(datetime.now(UTC)) else "not now"
    rules = [f"{one.duration} from {one.cron} {one.time_zone}" for one in definition.silence]
    return f"{now}: {', '.join(rules)}"


def _model_link(question: Question, monitor: Monitor, verdict: PastVerdict | None = None) -> str:
    """The model's page about what is watched; of a verdict: in its window, as it was known then."""
    definition = monitor.definition
    part = [verdict.part] if verdict and verdict.part else []
    members: dict[str, str | None] = {
        **common(question.members),
        "namespace": definition.namespace,
        "pipeline": definition.pipeline,
        "model": definition.model,
        "version": definition.version,
        "deployment": definition.deployment,
        "tag": TAGS.join([*definition.tags, *part]),
    }
    if verdict:
        edges = {"startTime": iso_utc(verdict.start), "endTime": iso_utc(verdict.end)}
        members |= edges | {"range": None, "interval": None, "asOf": iso_utc(verdict.as_of)}
    return "/model" + query_string(members)


# --- verdicts -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judgements:
    """A monitor, and the last verdict on each of its windows in the window of the page."""

    monitor: Monitor
    history: History

    @property
    def parts(self) -> dict[str, list[PastVerdict]]:
        """The verdicts of each part, oldest first."""
        found: dict[str, list[PastVerdict]] = {}
        for verdict in reversed(self.history.verdicts):
            found.setdefault(verdict.part, []).append(verdict)
        return dict(sorted(found.items()))


def find_verdicts(context: PanelContext) -> Judgements:
    """The verdicts on windows that end within that of the page, as of its moment.

    Cost: four statements.
    """
    window = context.question.window
    history = history_of(
        context.conn,
        context.workspace_id,
        _name(context),
        as_of=context.question.as_of,
        since=window.start,
        before=window.end + timedelta(microseconds=1),
        size=MOST_WINDOWS,
    )
    return Judgements(find_one(context), history)


def show_over_time(question: Question, found: Judgements) -> list[Node]:
    """A line of states per part, and the value of the part that was in sight last."""
    if not found.history.verdicts:
        return [note(NONE_JUDGED)]
    parts = found.parts
    strips = [_strip(question, found, part, own) for part, own in [*parts.items()][:MOST_PARTS]]
    drawn = question.members.get("part") or next(iter(parts))
    chart = _values(question, found, drawn, parts.get(drawn, []))
    legend = [state_mark(state) for state in _seen(found)]
    return [
        html.Div([html.Div(strips, className="strips"), html.P(legend, className="sides")]),
        *chart,
    ]


def _seen(found: Judgements) -> list[str]:
    return sorted({verdict.state for verdict in found.history.verdicts})


def _strip(question: Question, found: Judgements, part: str, own: Sequence[PastVerdict]) -> Markup:
    """The states of a part over the window of the page: runs of the same state, as bars."""
    step, window = _step(found), question.window
    bars = []
    for start, end, state in _runs(own, step):
        first, last = max(start, window.start), min(end, window.end)
        left = 100 * ((first - window.start) / window.length)
        width = 100 * ((last - first) / window.length)
        local = [moment(question.local(edge)) for edge in (start, end)]
        title = f"{state} from {local[0]} to {local[1]}"
        style = {"left": f"{left:.3f}%", "width": f"{max(width, 0):.3f}%"}
        bars.append(html.Span(className=f"bar {_css(state)}", title=title, style=style))
    fired = sum(verdict.state in ("warning", "critical") for verdict in own)
    label = f"States of {part or found.monitor.name}: {len(own)} windows, {fired} of them fired"
    name = [html.Span(part, className="class", title=part)] if part else []
    strip = html.Div(bars, className="strip", role="img", **{"aria-label": label})
    return html.Div([*name, strip], className="strip-line")


def _css(state: str) -> str:
    return state.replace(" ", "-")


def _step(found: Judgements) -> timedelta:
    definition = found.monitor.definition
    return parse_duration("every", definition.every or definition.window)


def _runs(own: Sequence[PastVerdict], step: timedelta) -> Iterator[tuple[datetime, datetime, str]]:
    """Spans of time with the same state, without gaps between their windows."""
    start, last, state = None, None, ""
    for verdict in own:
        begins = verdict.end - step
        if start is None or last is None or verdict.state != state or begins != last:
            if start is not None and last is not None:
                yield start, last, state
            start, state = begins, verdict.state
        last = verdict.end
    if start is not None and last is not None:
        yield start, last, state


def _values(
    question: Question, found: Judgements, part: str, own: Sequence[PastVerdict]
) -> list[Node]:
    if not any(verdict.value is not None for verdict in own):
        return []
    watched, step = found.monitor.definition.watched, _step(found)
    title = watched.title + (f" of {part}" if part else "")
    starts = [verdict.end - step for verdict in own]
    drawn: list[PastVerdict | None] = [*own]
    if own[-1].end < question.window.end:  # the last point is as wide as the others
        starts, drawn = [*starts, own[-1].end], [*drawn, None]
    lines = {title: [verdict.value if verdict else None for verdict in drawn]}
    compared = [verdict.baseline if verdict else None for verdict in drawn]
    if any(value is not None for value in compared):
        lines["compared with"] = compared
    bounds = [_interval(verdict) for verdict in drawn]
    return [
        charts.lines(
            f"{title}, and what it is compared with",
            question,
            starts,
            lines,
            form=quality.FORMS.get(watched.unit, quality.FORM),
            bands={title: bounds},
            picks=False,
        )
    ]


def _interval(verdict: PastVerdict | None) -> Interval | None:
    if verdict is None or verdict.low is None or verdict.high is None:
        return None
    return Interval(verdict.low, verdict.high)


def show_verdicts(question: Question, found: Judgements) -> list[Node]:
    """A row per verdict, the latest first, with what it revises."""
    if not found.history.verdicts:
        return [note(NONE_JUDGED)]
    shown = found.history.verdicts[:SHOWN]
    grouped = found.monitor.definition.group_by is not None
    heads = [
        ("Window", ""),
        *([("Part", "text")] if grouped else []),
        ("State", "text"),
        ("Was", "text"),
        "Value",
        "Compared with",
        "n",
        ("Why", "text"),
        ("Judged", "text"),
    ]
    rows = [_row(question, found.monitor, verdict, grouped=grouped) for verdict in shown]
    left_out = len(found.history.verdicts) - len(shown)
    return [
        table("Verdicts", heads, rows, kind="classes verdicts"),
        *([note(f"{left_out:,} more are in the CSV.")] * (left_out > 0)),
    ]


def _row(
    question: Question, monitor: Monitor, verdict: PastVerdict, *, grouped: bool
) -> list[Markup | str]:
    local = question.local(verdict.start), question.local(verdict.end)
    same_day = local[0].date() == local[1].date()
    words = f"{moment(local[0])} to {local[1]:%H:%M}" if same_day else _both(*local)
    link = html.A(words, href=_model_link(question, monitor, verdict))
    part = [html.Td(verdict.part, className="text")] if grouped else []
    return [
        link,
        *part,
        html.Td(state_mark(verdict.state), className="text"),
        _revised(question, monitor, verdict),
        in_unit(monitor, verdict.value),
        in_unit(monitor, verdict.baseline),
        count(verdict.n),
        html.Td(verdict.reason, className="text"),
        html.Td(moment(question.local(verdict.as_of)), className="text"),
    ]


def _both(start: datetime, end: datetime) -> str:
    return f"{moment(start)} to {moment(end)}"


def _revised(question: Question, monitor: Monitor, verdict: PastVerdict) -> Markup:
    """The verdict that this one revises: its state and value, and how many truths were learned."""
    earlier = verdict.revises
    if earlier is None:
        return html.Td("", className="text")
    learned = "truth" if monitor.definition.counts_truths else "prediction"
    plural = "" if earlier.learned == 1 else "s"
    value = "" if earlier.value is None else f" {in_unit(monitor, earlier.value)}"
    words = f"{value} before {count(earlier.learned)} {learned}{plural}"
    at = f"judged {moment(question.local(earlier.as_of))}"
    return html.Td([state_mark(earlier.state), words], className="text", title=at)


def verdict_rows(_: Question, found: Judgements) -> Rows:
    """A line per verdict, the latest first."""
    yield [
        *("part", "startTime", "endTime", "asOf", "state", "reason", "value", "low", "high"),
        *("baseline", "n", "revision", "revised_state", "revised_value", "revised_asOf", "learned"),
    ]
    for one in found.history.verdicts:
        earlier = one.revises
        revised = [earlier.state, earlier.value, iso_utc(earlier.as_of)] if earlier else [None] * 3
        times = [iso_utc(time) for time in (one.start, one.end, one.as_of)]
        numbers = [one.value, one.low, one.high, one.baseline, one.n, one.revision]
        yield [
            *(one.part, *times, one.state, one.reason, *numbers),
            *(*revised, earlier.learned if earlier else None),
        ]


# --- what was not delivered -----------------------------------------------------------------


def find_undelivered(context: PanelContext) -> Sequence[Undelivered]:
    """Messages that wait or were abandoned. Cost: three statements."""
    return undelivered_of(context.conn, find_one(context).id)


def show_undelivered(question: Question, messages: Sequence[Undelivered]) -> Node | None:
    """A row per message, the newest first."""
    if not messages:
        return note("Every message was delivered.")
    heads = [
        "Receiver",
        ("About", "text"),
        ("Window ended", "text"),
        ("Created", "text"),
        "Attempts",
        ("Now", "text"),
        ("Last error", "text"),
    ]
    rows = [
        [
            html.Span(one.receiver, className="class", title=one.receiver),
            html.Td([state_mark(one.state), f" {one.part}".rstrip()], className="text"),
            html.Td(moment(question.local(one.end)), className="text"),
            html.Td(moment(question.local(one.created_at)), className="text"),
            count(one.attempts),
            html.Td("abandoned" if one.dead_at else "waits", className="text"),
            html.Td(one.error or UNKNOWN, className="text"),
        ]
        for one in messages
    ]
    return table("Messages that were not delivered", heads, rows, kind="classes")


PAGE = Page(
    "/monitor",
    "",
    (
        Panel("monitor", "", find_one, show_one),
        Panel("states", "States over time", find_verdicts, show_over_time),
        Panel("verdicts", "Verdicts", find_verdicts, show_verdicts, verdict_rows),
        Panel("undelivered", "Not delivered", find_undelivered, show_undelivered),
    ),
)
