"""How much do levels save? Inference stats of a day, compared with plain SQL over the rows.

Detections of two days, 50 models of 10 classes, two to an inference. The peer is what one would
write without levels: counts, means and medians of both days in one statement over the row store
and, where the edition has it, over the columnstore. Run it with

    python -m bench.inference_stats [detections]

TRUTHLINE_DATABASE_URL names a server; without, an embedded one is started.
"""

import sys
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Executable, text

from app.store.database import Database
from bench.database import fresh_database
from bench.levels import in_both_stores, load_predictions
from bench.timing import compared, heading

SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
               SELECT 1, '', '', 'model-' || n, 'detection' FROM generate_series(1, 50) AS n
               RETURNING id),
         l AS (INSERT INTO label (workspace_id, name)
               SELECT 1, 'class-' || n FROM generate_series(1, 10) AS n)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT m.id, '', '1', 'hosted', '0.64.8' FROM m
""")
DETECTIONS = text("""
    INSERT INTO prediction (received_at, time, series_id, label_id, confidence, latency_seconds,
                            batch_index, starts_request, starts_label, failed, request_id)
    SELECT made, made, series[1 + n / 2 % 50], labels[1 + floor(random() * 10)::integer],
           1 - random() * random(), 0.02 + random() * 0.1, 0, n % 2 = 0, true, false,
           'inference-' || n / 2
    FROM (SELECT array_agg(id ORDER BY id) FROM series) AS s (series),
         (SELECT array_agg(id ORDER BY id) FROM label) AS l (labels),
         (SELECT n, CAST('2026-01-05Z' AS timestamptz) + n * CAST(:step AS interval)
          FROM generate_series(0, :rows - 1) AS n) AS t (n, made)
""")
RAW = text("""
    SELECT time >= CAST(:start AS timestamptz) AS latest, model_id, label_id,
           count(DISTINCT request_id), count(*), avg(confidence), avg(latency_seconds),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY confidence)
    FROM prediction JOIN series ON series.id = series_id
    WHERE time >= CAST(:start AS timestamptz) - INTERVAL '1 day'
      AND time < CAST(:end AS timestamptz)
    GROUP BY 1, 2, 3
""")
ASKED = "1, CAST(:start AS timestamptz), CAST(:end AS timestamptz)"
WAYS = {
    "totals and rows with medians": [
        text(f"SELECT * FROM truthline_internal.inference_totals({ASKED})"),
        text(f"SELECT * FROM truthline_internal.inference_stats({ASKED})"),
    ],
    "the same without medians": [
        text(f"SELECT * FROM truthline_internal.inference_totals({ASKED})"),
        text(f"SELECT * FROM truthline_internal.inference_stats({ASKED}, fractions => '{{}}')"),
    ],
}
DAYS = {
    "a day": {"start": "2026-01-06Z", "end": "2026-01-07Z"},
    "24 hours from 17:12:22": {"start": "2026-01-05T17:12:22Z", "end": "2026-01-06T17:12:22Z"},
}


def main(rows: int = 20_000_000) -> None:
    """Print milliseconds of each way, and how often the whole answer's."""
    with fresh_database() as database:
        load_predictions(database, SERIES, DETECTIONS, rows=rows, days=2)
        in_both_stores(database, rows, report)


def report(store: str, database: Database) -> None:
    """A line per window and way."""
    print(store)
    heading()
    for day, window in DAYS.items():
        for way, statements in WAYS.items():
            compared(
                f"{day}: {way}",
                partial(ask, database, statements, window),
                partial(ask, database, [RAW], window),
            )


def ask(database: Database, statements: Sequence[Executable], window: dict[str, str]) -> None:
    """Ask once."""
    with database.reading() as conn:
        for statement in statements:
            conn.execute(statement, window).all()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
