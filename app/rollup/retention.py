"""Retention: drop what is older than the operator wants to keep, and only what is counted.

Raw rows go once the levels made from them hold them; five-minute cells once the hours and days
made from them do; learned hours once the learned days do. `retention` says from when on each table
still has its rows: the planner goes by it, and says so where an answer can no longer be exact.

TimescaleDB refreshes a level by looking at its source again, so what was dropped there would
vanish from the level too: its policies are first told to look back no further than what is kept,
and only a later round drops.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from app.config import Settings
from app.store.database import Database
from app.store.edition import server_info

RAW = ("outcome", "prediction")
# Learned hours that learned days hold too.
HOURS_OF_DAYS = ("outcome_5m_1h", "outcome_1h_1h")


@dataclass(frozen=True, slots=True)
class Dropped:
    """A table and the instant before which its rows are gone."""

    relation: str
    since: datetime


def keep_days(settings: Settings) -> dict[str, int]:
    """For how many days each table is kept; those kept for good are absent."""
    days = dict.fromkeys(RAW, settings.keep_raw_days)
    days |= dict.fromkeys(("outcome_5m_1d", "prediction_5m_1h"), settings.keep_fine_days)
    days |= dict.fromkeys(HOURS_OF_DAYS, settings.keep_asof_days)
    # five-minute cells go whole, whichever of their two limits comes first
    limits = [d for d in (settings.keep_fine_days, settings.keep_asof_days) if d]
    days["outcome_5m_1h"] = min(limits, default=0)
    return {relation: number for relation, number in days.items() if number}


def enforce(database: Database, settings: Settings, now: datetime) -> list[Dropped]:
    """Drop what is older than the settings allow, in whole days, as far as it is counted.

    Where a policy of TimescaleDB still looks back further than that, it is told, and nothing is
    dropped in this round.
    """
    days = keep_days(settings)
    with database.writing() as conn:
        if _hold_policies(conn, days):
            return []
    return [dropped for relation in days if (dropped := _drop(database, relation, days, now))]


def _drop(database: Database, relation: str, days: dict[str, int], now: datetime) -> Dropped | None:
    """One table, in a transaction of its own: rows and note change together."""
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        wanted = now - timedelta(days=days[relation])
        since = conn.execute(_BOUND, {"relation": relation, "wanted": wanted}).scalar_one_or_none()
        if since is None:
            return None
        conn.execute(_NOTE, {"relation": relation, "since": since})
        if _in_chunks(conn, relation):
            conn.execute(_DROP_CHUNKS, {"relation": f"truthline_data.{relation}", "since": since})
        else:
            clock = "received_at" if relation in RAW else "learned"
            conn.execute(text(f"DELETE FROM {relation} WHERE {clock} < :since"), {"since": since})
        return Dropped(relation, since)


def _in_chunks(conn: Connection, relation: str) -> bool:
    """Whether whole chunks can be dropped; elsewhere rows are deleted."""
    if relation not in RAW:
        return bool(conn.execute(_IS_AGGREGATE, {"relation": relation}).scalar_one())
    if server_info(conn).timescaledb is None:
        return False
    return bool(conn.execute(_IS_HYPERTABLE, {"relation": relation}).scalar_one())


def _hold_policies(conn: Connection, days: dict[str, int]) -> bool:
    """Let no refresh look at more than what its source keeps; whether any had to be told."""
    if not conn.execute(_HAS_POLICIES).scalar_one():
        return False
    told = False
    for job_id, config in _wrong_policies(conn, days):
        conn.execute(_ALTER_JOB, {"job": job_id, "config": json.dumps(config)})
        told = True
    return told


def _wrong_policies(
    conn: Connection, days: dict[str, int]
) -> Iterator[tuple[int, dict[str, object]]]:
    for row in conn.execute(_POLICIES).all():
        kept = days.get(row.source)
        wanted = f"{kept} days" if kept else None
        if row.config.get("start_offset") != wanted:
            yield row.job_id, row.config | {"start_offset": wanted}


def forget_keys(conn: Connection, settings: Settings) -> int:
    """Forget requests whose truth is no longer waited for, truths that wait as long, and events.

    A truth that comes later finds no prediction, and a repetition is stored and counted again.
    """
    if not settings.keep_keys_days:
        return 0
    bound = {"days": settings.keep_keys_days}
    return sum(
        conn.execute(forget, bound).rowcount
        for forget in (_FORGET_KEYS, _FORGET_PENDING, _FORGET_EVENTS, _FORGET_LOOKUPS)
    )


def drop_idle_executions(database: Database, settings: Settings) -> int:
    """Drop all metrics of executions that recorded nothing for too long; returns how many metrics.

    What an execution is of stays known, and it may begin anew.
    """
    if not settings.keep_executions_days:
        return 0
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        bound = {"days": settings.keep_executions_days}
        dropped: int = conn.execute(_DROP_IDLE, bound).scalar_one()
    return dropped


# A recording that is at work holds its metric, and has moved its clock once the row is free.
_DROP_IDLE = text("""
    WITH bound (old) AS (SELECT now() - make_interval(days => :days)),
    idle AS (
        SELECT execution_id FROM step_metric GROUP BY execution_id
        HAVING max(received_at) < (SELECT old FROM bound)
    ), metric AS (
        DELETE FROM step_metric USING idle, bound
        WHERE step_metric.execution_id = idle.execution_id AND step_metric.received_at < bound.old
        RETURNING id
    ), batch AS (
        DELETE FROM step_batch USING metric WHERE step_batch.metric_id = metric.id
    )
    SELECT count(*) FROM metric
""")
# The day to drop until: not past what the learned hours and days of its subjects hold. (Months are
# made from days, which stay.) No row where less is kept already.
_BOUND = text("""
    SELECT bound FROM (
        SELECT date_trunc('day', least(CAST(:wanted AS timestamptz), min(clean_until)), 'UTC')
        FROM truthline.levels() AS l JOIN subject ON subject.name = l.subject
        WHERE learned_width <= INTERVAL '1 day'
          AND (subject.source = :relation
               OR subject.name = (SELECT level.subject FROM level WHERE level.name = :relation))
    ) AS goal (bound)
    WHERE isfinite(bound)
      AND bound > coalesce((SELECT since FROM retention WHERE relation = :relation), '-infinity')
""")
_NOTE = text("""
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
_DROP_CHUNKS = text("SELECT public.drop_chunks(CAST(:relation AS regclass), older_than => :since)")
_HAS_POLICIES = text("SELECT EXISTS (SELECT FROM level WHERE kept_by = 'timescaledb')")
_POLICIES = text("""
    SELECT job.id AS job_id, job.config, level.source
    FROM _timescaledb_config.bgw_job AS job
    JOIN _timescaledb_catalog.continuous_agg AS agg
        ON agg.mat_hypertable_id = (job.config ->> 'mat_hypertable_id')::integer
    JOIN level ON level.name = agg.user_view_name
    WHERE job.proc_name = 'policy_refresh_continuous_aggregate'
""")
_ALTER_JOB = text("SELECT public.alter_job(:job, config => CAST(:config AS jsonb))")
_FORGET_KEYS = text("""
    DELETE FROM prediction_key WHERE time < clock_timestamp() - make_interval(days => :days)
""")
_FORGET_PENDING = text("""
    DELETE FROM pending_feedback
    WHERE received_at < clock_timestamp() - make_interval(days => :days)
""")
_FORGET_EVENTS = text("""
    DELETE FROM event_key WHERE received_at < clock_timestamp() - make_interval(days => :days)
""")
_FORGET_LOOKUPS = text("""
    DELETE FROM event_lookup WHERE received_at < clock_timestamp() - make_interval(days => :days)
""")
