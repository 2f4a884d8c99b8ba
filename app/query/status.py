"""The state of the database, its levels and its counts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from app.query.space import Space, space_by_kind
from app.store.edition import ServerInfo, server_info


@dataclass(frozen=True, slots=True)
class LevelStatus:
    """A level: its cells, until when it is clean and was audited (None: never).

    `lag` is the time from `clean_until` to the newest row; rows received within it are read from
    finer levels or from the raw table. `open_faults` counts spans that an audit found wrong and
    that are not repaired yet, `repaired_faults` the repaired ones.
    """

    name: str
    cells: int
    clean_until: datetime | None
    lag: timedelta | None
    audited_until: datetime | None = None
    open_faults: int = 0
    repaired_faults: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """Counts are rows; times are when the newest row was received (None: no rows)."""

    server: ServerInfo
    workspaces: int
    models: int
    series: int
    predictions: int
    outcomes: int
    pending_feedback: int
    last_prediction: datetime | None
    last_outcome: datetime | None
    levels: Sequence[LevelStatus] = ()
    retention: Sequence[tuple[str, datetime]] = ()
    space: Sequence[Space] = ()


def service_status(conn: Connection) -> Status:
    """Count everything. Cost: full scans of the raw tables and the levels."""
    counted = Status(server_info(conn), *conn.execute(_COUNTS).one())
    retention = [(relation, since) for relation, since in conn.execute(_RETENTION)]
    newest = {"outcome": counted.last_outcome, "prediction": counted.last_prediction}
    levels = list(_level_status(conn, newest))
    return replace(counted, levels=levels, retention=retention, space=space_by_kind(conn))


@dataclass(frozen=True, slots=True)
class FreshLevel:
    """A level of a subject, its widths, until when it is clean and was audited (None: never).

    `open_faults` and `repaired_faults` count spans that audits found wrong.
    """

    name: str
    subject: str
    event_width: timedelta
    learned_width: str
    clean_until: datetime | None
    audited_until: datetime | None
    open_faults: int
    repaired_faults: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """The freshness of all levels at `asked_at`, since when rows are kept, and pending feedback.

    `pending_feedback` counts truths of one workspace whose prediction has not arrived.
    """

    asked_at: datetime
    levels: Sequence[FreshLevel]
    retention: Sequence[tuple[str, datetime]]
    pending_feedback: int


def freshness(conn: Connection, *, workspace_id: int) -> Freshness:
    """The freshness of all levels. Cost: four look-ups; only pending feedback is counted."""
    levels = fresh_levels(conn)
    retention = [(relation, since) for relation, since in conn.execute(_RETENTION)]
    pending = conn.execute(_PENDING, {"workspace": workspace_id}).scalar_one()
    return Freshness(conn.execute(text("SELECT now()")).scalar_one(), levels, retention, pending)


def fresh_levels(conn: Connection) -> list[FreshLevel]:
    """The freshness of each level. Cost: one look-up."""
    return [FreshLevel(*row) for row in conn.execute(_FRESH)]


_FRESH = text("""
    SELECT l.name, l.subject, event_width,
           CASE WHEN learned_width < INTERVAL '1 millisecond' THEN 'recent'
                WHEN learned_width < INTERVAL '1 day' THEN 'hour'
                WHEN learned_width < INTERVAL '1 month' THEN 'day' ELSE 'month' END,
           nullif(clean_until, '-infinity'), audit.audited_until, audit.open, audit.repaired
    FROM truthline_internal.levels() AS l
    JOIN truthline_internal.audits() AS audit (name, audited_until, open, repaired) USING (name)
""")
_PENDING = text("""
    SELECT count(*) FROM pending_feedback JOIN model ON model.id = model_id
    WHERE workspace_id = :workspace
""")


def _level_status(conn: Connection, newest: Mapping[str, datetime | None]) -> Iterator[LevelStatus]:
    for name, source, clean_until, *audited in conn.execute(_LEVELS).all():
        cells = conn.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
        last = newest[source]
        lag = max(last - clean_until, timedelta()) if last and clean_until else None
        yield LevelStatus(name, cells, clean_until, lag, *audited)


_COUNTS = text("""
    SELECT (SELECT count(*) FROM workspace),
           (SELECT count(*) FROM model),
           (SELECT count(*) FROM series),
           p.n, o.n,
           (SELECT count(*) FROM pending_feedback),
           p.last, o.last
    FROM (SELECT count(*) AS n, max(received_at) AS last FROM prediction) AS p,
         (SELECT count(*) AS n, max(received_at) AS last FROM outcome) AS o
""")


_LEVELS = text("""
    SELECT l.name, subject.source, nullif(clean_until, '-infinity'),
           audit.audited_until, audit.open, audit.repaired
    FROM truthline_internal.levels() AS l
    JOIN subject ON subject.name = l.subject
    JOIN truthline_internal.audits() AS audit (name, audited_until, open, repaired)
        ON audit.name = l.name
""")
_RETENTION = text("SELECT relation, since FROM retention ORDER BY relation")
