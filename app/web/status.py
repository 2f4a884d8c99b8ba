"""The freshness of levels: until when each contains every received row."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from app.phrases import duration, faults_in_words
from app.query.status import Freshness, freshness
from app.store.edition import ServerInfo, server_info
from app.store.migration import SchemaVersion, schema_version
from app.web import markup as html
from app.web.panels import Page, Panel, PanelContext, Rows
from app.web.question import Question, iso_utc
from app.web.tables import note, table, tile
from app.web.units import UNKNOWN, length, moment

HEADS = (
    "level",
    "counts",
    "buckets_of",
    "learned_by",
    "clean_until",
    "audited_until",
    "open_faults",
    "healed_faults",
)


@dataclass(frozen=True, slots=True)
class State:
    """The state of the database, and the freshness of its levels."""

    server: ServerInfo
    schema: SchemaVersion
    freshness: Freshness


def find(context: PanelContext) -> State:
    """Query the state of the database."""
    level_freshness = freshness(context.conn, workspace_id=context.workspace_id)
    return State(server_info(context.conn), schema_version(context.conn), level_freshness)


def show_state(_: Question, state: State) -> Markup:
    """The server, the schema, and the number of pending truths."""
    timescaledb = state.server.timescaledb
    schema = "up to date" if state.schema.usable else "behind: run truthline db upgrade"
    return html.Dl(
        [
            tile("Database", f"PostgreSQL {state.server.postgres}"),
            tile(
                "TimescaleDB", f"{timescaledb}, {state.server.edition}" if timescaledb else "none"
            ),
            tile("Schema", f"{state.schema.current}, {schema}"),
            tile("Truths waiting for a prediction", f"{state.freshness.pending_feedback:,}"),
        ],
        className="tiles words",
    )


def show_levels(question: Question, state: State) -> list[Markup]:
    """A row per level."""
    heads: list[Any] = [
        ("Level", ""),
        ("Counts", "text"),
        "Buckets of",
        ("Learned by", "text"),
        ("Contains everything received until", "text"),
        "Behind now",
        ("Audited until", "text"),
        ("Faults", "text"),
    ]
    rows = [
        [
            html.Code(level.name),
            html.Td(level.subject, className="text"),
            length(level.event_width),
            html.Td(level.learned_width, className="text"),
            _until(question, level.clean_until),
            _ago(state.freshness.asked_at, level.clean_until),
            _until(question, level.audited_until),
            html.Td(faults_in_words(level.open_faults, level.repaired_faults), className="text"),
        ]
        for level in state.freshness.levels
    ]
    return [
        table("Levels", heads, rows),
        note("Answers are still exact: rows received later are counted individually."),
    ]


def _until(question: Question, moment_: datetime | None) -> Markup:
    words = moment(question.local(moment_)) if moment_ else "nothing yet"
    return html.Td(words, className="text")


def _ago(now: datetime, then: datetime | None) -> str:
    return UNKNOWN if then is None else duration(max(now - then, timedelta()))


def show_retention(question: Question, state: State) -> Markup:
    """Since when rows are kept."""
    if not state.freshness.retention:
        return note("Nothing was dropped: every row is kept.")
    rows = [
        [html.Code(relation), html.Td(moment(question.local(since)), className="text")]
        for relation, since in state.freshness.retention
    ]
    return table("What is kept", [("Table", ""), ("Kept since", "text")], rows)


def level_rows(_: Question, state: State) -> Rows:
    """A line per level."""
    yield HEADS
    for level in state.freshness.levels:
        until, audited = (
            iso_utc(moment) if moment else None
            for moment in (level.clean_until, level.audited_until)
        )
        faults = (level.open_faults, level.repaired_faults)
        yield [
            level.name,
            level.subject,
            level.event_width,
            level.learned_width,
            until,
            audited,
            *faults,
        ]


PAGE = Page(
    "/status",
    "Status",
    (
        Panel("state", "", find, show_state),
        Panel("levels", "Levels", find, show_levels, level_rows),
        Panel("retention", "What is kept", find, show_retention),
    ),
)
