"""Retention of verdicts: those on windows that ended long ago are deleted.

What each part found last is kept, however old it is. A window whose verdict is deleted is never
judged again, so no late truth makes a first verdict of it.
"""

from datetime import timedelta

from sqlalchemy import Connection, text

# In one round, a minute apart, so that no transaction takes long.
MOST = 100_000


def delete_old_verdicts(conn: Connection, days: int) -> int:
    """Delete verdicts on windows that ended more than `days` ago; 0 keeps all. Returns how many."""
    if not days:
        return 0
    kept = timedelta(days=days)
    conn.execute(_JUDGE_NO_MORE, {"kept": kept})
    return conn.execute(_DELETE, {"kept": kept, "most": MOST}).rowcount


_JUDGE_NO_MORE = text("""
    UPDATE monitor SET judged_from = least(clock_timestamp() - :kept, judged_until)
    WHERE judged_from < least(clock_timestamp() - :kept, judged_until) - INTERVAL '1 hour'
""")
_DELETE = text("""
    DELETE FROM verdict USING (
        SELECT old.monitor_id, old.part, old.window_end, old.as_of
        FROM verdict AS old JOIN monitor ON monitor.id = old.monitor_id
        WHERE old.window_end < clock_timestamp() - :kept AND old.window_end <= monitor.judged_from
          AND NOT EXISTS (
              SELECT FROM monitor_part
              WHERE monitor_part.monitor_id = old.monitor_id AND monitor_part.part = old.part
                AND monitor_part.window_end = old.window_end)
        ORDER BY old.window_end LIMIT :most
    ) AS gone
    WHERE (verdict.monitor_id, verdict.part, verdict.window_end, verdict.as_of)
        = (gone.monitor_id, gone.part, gone.window_end, gone.as_of)
""")
