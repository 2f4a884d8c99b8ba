"""Retention: drop what is older than the configured age, and already counted.

Raw rows are dropped once the levels computed from them contain them; five-minute cells once the
hours and days computed from them do; learned hours once the learned days do. Step metrics are
dropped by whole executions that have recorded nothing for the configured time. `retention` records
from when each table still has its rows: the planner uses it, and reports when a result is no longer
exact.

The levels are audited before their source is dropped, because nothing can be recounted afterwards.
TimescaleDB refreshes a level by reading its source again, so what was dropped there would vanish
from the level too: app/rollup/aggregates.py starts at the first row that remains.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from app.config import Settings
from app.rollup.refresh import audit_levels
from app.rollup.writers import snapshots_have_ended
from app.store.database import Database
from app.store.edition import server_info

RAW = ("outcome", "prediction")
STEPS = "step_batch"
# Five-minute cells that wider ones contain too.
FINE = ("outcome_5m_1d", "deviation_5m_1h", "prediction_5m_1h")
# Learned hours that learned days contain too.
HOURS_OF_DAYS = ("outcome_5m_1h", "outcome_1h_1h", "scored_1h_1h", "deviation_1h_1h")
# Deleted by one round, one a minute: while a transaction runs, no old row is cleared away, and the
# pages of keys would grow.
MAX_KEYS = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A table, and the instant before which its rows were dropped."""

    relation: str
    since: datetime


def keep_days(settings: Settings) -> dict[str, int]:
    """The number of days for which each table is kept; tables kept permanently are absent."""
    days = dict.fromkeys(RAW, settings.keep_raw_days)
    days |= dict.fromkeys(FINE, settings.keep_fine_days)
    days |= dict.fromkeys(HOURS_OF_DAYS, settings.keep_asof_days)
    # these five-minute cells are dropped at the earlier of their two limits
    limits = [d for d in (settings.keep_fine_days, settings.keep_asof_days) if d]
    days |= {"outcome_5m_1h": min(limits, default=0)}
    return {relation: number for relation, number in days.items() if number}


def drop_expired(database: Database, settings: Settings, now: datetime) -> list[Dropped]:
    """Drop what is older than the settings allow, in whole days, as far as it is counted.

    Raises:
        Unavailable: an audit found a fault, and another refresh prevents its repair.
    """
    days = keep_days(settings)
    drops = [_drop(database, relation, now - timedelta(days=days[relation])) for relation in days]
    if settings.keep_executions_days:
        drops.append(_drop_idle_executions(database, settings.keep_executions_days, now))
    return [dropped for dropped in drops if dropped]


def _drop(database: Database, relation: str, oldest_wanted: datetime) -> Dropped | None:
    """One table; deleted rows and `retention` change together, and a chunk is dropped afterwards.

    Chunks vanish from older snapshots too, whose readers don't know yet that rows are missing.
    """
    with database.reading() as conn:
        in_chunks = _in_chunks(conn, relation)
        parameters = {"relation": relation, "wanted": oldest_wanted}
        until = conn.execute(_DROP_UNTIL, parameters).scalar_one_or_none()
    dropped = None
    if until is not None and _is_counted(database, relation, until):
        dropped = _record(database, relation, until, delete=not in_chunks)
    return (in_chunks and _drop_chunks(database, relation)) or dropped


def _record(database: Database, relation: str, until: datetime, *, delete: bool) -> Dropped | None:
    """Record that rows received before an instant are gone, and delete them if so asked."""
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        since = conn.execute(
            _DROP_UNTIL, {"relation": relation, "wanted": until}
        ).scalar_one_or_none()
        if since is None:
            return None
        conn.execute(_RECORD, {"relation": relation, "since": since})
        if delete:
            clock = "received_at" if relation in RAW else "learned"
            conn.execute(text(f"DELETE FROM {relation} WHERE {clock} < :since"), {"since": since})
        return Dropped(relation, since)


def _drop_chunks(database: Database, relation: str) -> Dropped | None:
    """Drop the chunks that are recorded as gone, also those that an earlier round had to leave."""
    parameters = {"relation": relation, "table": f"truthline_data.{relation}"}
    with database.reading() as conn:
        since = conn.execute(_EXPIRED_CHUNKS, parameters).scalar_one_or_none()
    if since is None:
        return None
    with database.outside_transactions() as conn:
        if not snapshots_have_ended(conn):
            _log.warning("%s is not dropped yet: a transaction takes long", relation)
            return None
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        conn.execute(_DROP_CHUNKS, {"relation": f"truthline_data.{relation}", "since": since})
    return Dropped(relation, since)


def _is_counted(database: Database, relation: str, until: datetime) -> bool:
    """Audit the levels computed from a table, as far as it is to be dropped; repairs faults."""
    with database.reading() as conn:
        names = conn.execute(_LEVELS_FROM, {"relation": relation}).scalars().all()
    unrepaired = [
        fault
        for name in names
        for audited in audit_levels(database, name, until=until)
        for fault in audited.unrepaired
    ]
    if unrepaired:
        _log.error("%s is not dropped: %d spans are miscounted", relation, len(unrepaired))
    return not unrepaired


def _in_chunks(conn: Connection, relation: str) -> bool:
    """Whether whole chunks can be dropped; otherwise rows are deleted."""
    if relation not in RAW:
        return bool(conn.execute(_IS_AGGREGATE, {"relation": relation}).scalar_one())
    return _is_hypertable(conn, relation)


def _is_hypertable(conn: Connection, relation: str) -> bool:
    if server_info(conn).timescaledb is None:
        return False
    return bool(conn.execute(_IS_HYPERTABLE, {"relation": relation}).scalar_one())


def delete_old_keys(conn: Connection, settings: Settings) -> int:
    """Delete old requests, of which at most MAX_KEYS, and pending truths and events.

    A truth that arrives later finds no prediction, and a duplicate is stored and counted again.
    """
    if not settings.keep_keys_days:
        return 0
    parameters = {"days": settings.keep_keys_days, "size": MAX_KEYS}
    return sum(
        conn.execute(deletion, parameters).rowcount
        for deletion in (_DELETE_KEYS, _DELETE_PENDING, _DELETE_EVENTS, _DELETE_LOOKUPS)
    )


def _drop_idle_executions(database: Database, days: int, now: datetime) -> Dropped | None:
    """All metrics of executions that recorded nothing for so long; once a day, as for other tables.

    The executions remain, and may record again.
    """
    since = (now - timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)
    parameters = {"relation": STEPS, "since": since}
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        if conn.execute(_IS_RECORDED, parameters).scalar_one():
            return None
        # waits for writers, and makes later ones wait: what is idle stays idle
        for statement in (_LOCK_EXECUTIONS, _LOCK_METRICS, _DROP_METRICS, _RECORD):
            conn.execute(statement, parameters)
        oldest = conn.execute(_OLDEST_BATCH).scalar_one()
        if oldest and _is_hypertable(conn, STEPS):
            chunks = {"relation": f"truthline_data.{STEPS}", "since": oldest}
            conn.execute(_DROP_CHUNKS, chunks)
    return Dropped(STEPS, since)


_IDLE = """
    SELECT execution_id FROM step_metric GROUP BY execution_id HAVING max(received_at) < :since
"""
_LOCK_EXECUTIONS = text(f"SELECT FROM execution WHERE id IN ({_IDLE}) ORDER BY id FOR UPDATE")
_LOCK_METRICS = text(f"""
    SELECT FROM step_metric WHERE execution_id IN ({_IDLE}) ORDER BY id FOR UPDATE
""")
_DROP_METRICS = text(f"""
    WITH metric AS (DELETE FROM step_metric WHERE execution_id IN ({_IDLE}) RETURNING id)
    DELETE FROM step_batch USING metric WHERE metric_id = metric.id AND received_at < :since
""")
_IS_RECORDED = text("""
    SELECT EXISTS (SELECT FROM retention WHERE relation = :relation AND since >= :since)
""")
_OLDEST_BATCH = text("SELECT min(received_at) FROM step_batch")
# The day until which to drop: not later than the learned hours and days of its subjects reach.
# (Months are computed from days, which stay.) No row if less is kept already.
_DROP_UNTIL = text("""
    SELECT bound FROM (
        SELECT date_trunc('day', least(CAST(:wanted AS timestamptz), min(clean_until)), 'UTC')
        FROM truthline_internal.levels() AS l JOIN subject ON subject.name = l.subject
        WHERE learned_width <= INTERVAL '1 day'
          AND l.name NOT IN (SELECT name FROM level WHERE recent)
          AND (subject.source = :relation
               OR subject.name = (SELECT level.subject FROM level WHERE level.name = :relation))
    ) AS goal (bound)
    WHERE isfinite(bound)
      AND bound > coalesce((SELECT since FROM retention WHERE relation = :relation), '-infinity')
""")
_LEVELS_FROM = text("""
    SELECT name FROM level WHERE source = :relation AND NOT recent ORDER BY place
""")
_RECORD = text("""
    INSERT INTO retention (relation, since) VALUES (:relation, :since)
    ON CONFLICT (relation) DO UPDATE SET since = EXCLUDED.since
""")
_IS_HYPERTABLE = text("""
    SELECT EXISTS (SELECT FROM _timescaledb_catalog.hypertable
                   WHERE schema_name = 'truthline_data' AND table_name = :relation)
""")
_IS_AGGREGATE = text("""
    SELECT EXISTS (SELECT FROM level WHERE name = :relation AND kept_by = 'timescaledb')
""")
_EXPIRED_CHUNKS = text("""
    SELECT since FROM retention
    WHERE relation = :relation
      AND EXISTS (SELECT FROM public.show_chunks(CAST(:table AS regclass), older_than => since))
""")
_DROP_CHUNKS = text("SELECT public.drop_chunks(CAST(:relation AS regclass), older_than => :since)")
_DELETE_KEYS = text("""
    DELETE FROM prediction_key WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM prediction_key
        WHERE time < clock_timestamp() - make_interval(days => :days)
        LIMIT :size
        FOR UPDATE SKIP LOCKED
    ))
""")
_DELETE_PENDING = text("""
    DELETE FROM pending_feedback
    WHERE received_at < clock_timestamp() - make_interval(days => :days)
""")
_DELETE_EVENTS = text("""
    DELETE FROM event_key WHERE received_at < clock_timestamp() - make_interval(days => :days)
""")
_DELETE_LOOKUPS = text("""
    DELETE FROM event_lookup WHERE received_at < clock_timestamp() - make_interval(days => :days)
""")
