"""Merge: one cell per hour, bucket and key in a recent level, instead of one for each fold.

A busy model adds the same cells every few seconds, so that after an hour a question would read a
thousand of each. A fold begins a new span only so that what was folded before stays as it is; an
answer reads a recent level as a whole. So cells are merged per hour once an audit has found
them right and the levels that are computed from them have read them.
"""

from collections.abc import Sequence

from sqlalchemy import text

from app.rollup.levels import Level
from app.store.database import Database


def merge(database: Database, levels: Sequence[Level]) -> int:
    """Merge the cells of recent levels; returns how many there are now.

    Collected numbers can't be added up: their cells stay as they are. Cost: each cell is deleted
    and written once.
    """
    return sum(_merge(database, level) for level in levels if not level.collects)


def _merge(database: Database, level: Level) -> int:
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        statement = conn.execute(_LOCK_LEVEL, {"level": level.name}).scalar_one()
        merged: int = conn.exec_driver_sql(statement).scalar_one()
        return merged


# The lock is that of a fold. A cell's span begins where its hour does, or the level.
_LOCK_LEVEL = text("""
    SELECT format('WITH old AS (DELETE FROM truthline_data.%1$I WHERE learned < %2$L RETURNING *),'
                  ' merged AS (INSERT INTO truthline_data.%1$I %3$s ORDER BY 1, 3, 2 RETURNING 1)'
                  ' SELECT count(*) FROM merged',
                  name, least(audited_until, (SELECT min(other.learned_until) FROM level AS other
                                              WHERE other.source = level.name)),
                  level_query(
                      jsonb_populate_record(level, jsonb_build_object('source', name)), 'old',
                      format('greatest(%L, truthline_data.learned_start(%L, {at}))',
                             learned_since, whole_span(level))))
    FROM level WHERE name = :level FOR UPDATE OF level
""")
