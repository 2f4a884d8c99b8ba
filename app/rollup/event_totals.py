"""Totals of event metrics: new numbers are added to them in one transaction.

Readers sum totals and numbers that are not added yet, so this changes no result.
"""

from sqlalchemy import Connection, text


def fold_event_counts(conn: Connection) -> int:
    """Add all new numbers to their totals; returns how many."""
    folded: int = conn.execute(_FOLD).scalar_one()
    return folded


_FOLD = text("""
    WITH gone AS (
        DELETE FROM event_count RETURNING id, metric_id, value
    ),
    bin AS (
        SELECT metric_id,
               CASE type WHEN 'timer' THEN timer_bin(value) ELSE 0 END AS bin,
               count(*) AS n, sum(exact(value)) AS total,
               (array_agg(value ORDER BY gone.id DESC))[1] AS latest, max(gone.id) AS latest_id
        FROM gone JOIN event_metric AS metric ON metric.id = metric_id
        GROUP BY 1, 2
    ),
    added AS (
        INSERT INTO event_total AS known (metric_id, bin, n, total, latest, latest_id)
        SELECT * FROM bin ORDER BY 1, 2
        ON CONFLICT (metric_id, bin) DO UPDATE
        SET n = known.n + EXCLUDED.n, total = known.total + EXCLUDED.total,
            latest = CASE WHEN EXCLUDED.latest_id > known.latest_id THEN EXCLUDED.latest
                          ELSE known.latest END,
            latest_id = greatest(known.latest_id, EXCLUDED.latest_id)
        RETURNING 1
    )
    SELECT count(*) FROM gone
""")
