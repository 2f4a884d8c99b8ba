"""How the monitors of all workspaces are, for operators: numbers, and no names."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Watched:
    """Parts of monitors by state, and messages that are not delivered.

    `round_age` is the time since the moment of the last round, in seconds; None before the first.
    """

    states: Mapping[str, int]
    round_age: float | None
    waiting: int
    dead: int


def watched(conn: Connection) -> Watched:
    """Count them. Cost: one statement, over what is not delivered and one row per part."""
    row = conn.execute(_WATCHED).one()
    return Watched(dict(row.states or {}), row.round_age, row.waiting, row.dead)


_WATCHED = text("""
    SELECT (SELECT jsonb_object_agg(state, n) FROM (
                SELECT state, count(*) AS n FROM monitor_part GROUP BY 1) AS counted) AS states,
           (SELECT CAST(extract(epoch FROM clock_timestamp() - as_of) AS float8)
            FROM monitor_round) AS round_age,
           count(*) FILTER (WHERE dead_at IS NULL) AS waiting,
           count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead
    FROM delivery WHERE delivered_at IS NULL
""")
