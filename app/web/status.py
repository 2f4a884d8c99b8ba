"""How fresh the levels are: until when each holds every row that was received."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from app.phrases import duration, faults_in_words
from app.query.status import Freshness, freshness
from app.store.edition import ServerInfo, server_info
from app.store.migration import SchemaVersion, schema_version
from app.web import markup as html
from app.web.panels import Look, Page, Panel, Rows
from app.web.question import Question, written
from app.web.tables import nothing, table, tile
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
    """What the database is, and how fresh its levels are."""

    server: ServerInfo
    schema: SchemaVersion
    freshness: Freshness


def find(look: Look) -> State:
    """Ask the database about itself."""
    fresh = freshness(look.conn, workspace_id=look.workspace_id)
    return State(server_info(look.conn), schema_version(look.conn), fresh)


def show_state(_: Question, found: State) -> Markup:
    """The server, the schema, and the truths that wait for a prediction."""
    timescaledb = found.server.timescaledb
    schema = "up to date" if found.schema.usable else "behind: run truthline db upgrade"
    return html.Dl(
        [
            tile("Database", f"PostgreSQL {found.server.postgres}"),
            tile(
                "TimescaleDB", f"{timescaledb}, {found.server.edition}" if timescaledb else "none"
            ),
            tile("Schema", f"{found.schema.current}, {schema}"),
            tile("Truths that wait for a prediction", f"{found.freshness.pending_feedback:,}"),
        ],
        className="tiles words",
    )


def show_levels(question: Question, found: State) -> list[Markup]:
    """A row per level."""
    heads: list[Any] = [
        ("Level", ""),
        ("Counts", "text"),
        "Buckets of",
        ("Learned by", "text"),
        ("Holds all that was received until", "text"),
        "Behind now",
        ("Audited until", "text"),
        ("Faults", "text"),
    ]
    rows = [
        [
            html.Code(one.name),
            html.Td(one.subject, className="text"),
            length(one.event_width),
            html.Td(one.learned_width, className="text"),
            _until(question, one.clean_until),
            _ago(found.freshness.asked_at, one.clean_until),
            _until(question, one.audited_until),
            html.Td(faults_in_words(one.open_faults, one.healed_faults), className="text"),
        ]
        for one in found.freshness.levels
    ]
    return [
        table("Levels", heads, rows),
        nothing(
            "Answers are exact all the same: what was received later is counted from its rows."
        ),
    ]


def _until(question: Question, moment_: datetime | None) -> Markup:
    words = moment(question.local(moment_)) if moment_ else "nothing yet"
    return html.Td(words, className="text")


def _ago(now: datetime, then: datetime | None) -> str:
    return UNKNOWN if then is None else duration(max(now - then, timedelta()))


def show_retention(question: Question, found: State) -> Markup:
    """What was dropped."""
    if not found.freshness.retention:
        return nothing("Nothing was dropped: every row is kept.")
    rows = [
        [html.Code(relation), html.Td(moment(question.local(since)), className="text")]
        for relation, since in found.freshness.retention
    ]
    return table("What is kept", [("Table", ""), ("Kept since", "text")], rows)


def level_rows(_: Question, found: State) -> Rows:
    """A line per level."""
    yield HEADS
    for one in found.freshness.levels:
        until, audited = (
            written(moment) if moment else None for moment in (one.clean_until, one.audited_until)
        )
        faults = (one.open_faults, one.healed_faults)
        yield [one.name, one.subject, one.event_width, one.learned_width, until, audited, *faults]


PAGE = Page(
    "/status",
    "Status",
    (
        Panel("state", "", find, show_state),
        Panel("levels", "Levels", find, show_levels, level_rows),
        Panel("retention", "What is kept", find, show_retention),
    ),
)
