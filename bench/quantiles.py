"""What does an exact quantile cost, compared with percentile_cont over the rows?

Thirty days of predictions of one model: half of them values, half confidences of ten classes, all
with a latency. Run it with

    python -m bench.quantiles [predictions]

TRUTHLINE_DATABASE_URL names a server; without, an embedded one is started.
"""

import sys
from collections.abc import Mapping
from functools import partial

from sqlalchemy import Connection, TextClause, text

from app.store.database import Database
from bench.database import fresh_database
from bench.levels import in_both_stores, load_predictions
from bench.timing import compared, heading

CLOSE = 1e-9
DAYS = 30
SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name)
               VALUES (1, '', '', 'bench') RETURNING id),
         l AS (INSERT INTO label (workspace_id, name)
               SELECT 1, 'class ' || n FROM generate_series(1, 10) AS n)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT m.id, '', '1', '', '' FROM m
""")
PREDICTIONS = text("""
    INSERT INTO prediction (received_at, time, series_id, value, label_id, confidence,
                            latency_seconds, batch_index, starts_request, starts_label, failed)
    SELECT made, made, 1, CASE WHEN n % 2 = 0 THEN 200 + 50 * random_normal() END,
           CASE WHEN n % 2 = 1 THEN 1 + floor(random() * 10)::integer END,
           CASE WHEN n % 2 = 1 THEN 1 - random() * random() END,
           exp(random_normal(-3, 0.5)), 0, true, true, false
    FROM (SELECT n, TIMESTAMPTZ '2026-01-01Z' + n * CAST(:step AS interval) AS made
          FROM generate_series(0, :rows - 1) AS n) AS t
""")
QUANTILES = text("""
    SELECT place, coalesce(label_id, 0), quantiles FROM truthline_internal.quantiles(
        :measure, ARRAY[1], truthline_internal.edges(
            CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval)),
        'infinity', CAST(:fractions AS float8[])) ORDER BY 1, 2
""")
PERCENTILES = """
    SELECT 1 + div(extract(epoch FROM time - CAST(:start AS timestamptz)),
                   extract(epoch FROM CAST(:width AS interval)))::integer, {key},
           percentile_cont(CAST(:fractions AS float8[])) WITHIN GROUP (ORDER BY {column})
    FROM prediction
    WHERE series_id = 1 AND time >= CAST(:start AS timestamptz) AND time < CAST(:end AS timestamptz)
      AND {column} IS NOT NULL
    GROUP BY 1, 2 ORDER BY 1, 2
"""
ROWS = {
    "value": text(PERCENTILES.format(column="value", key="0")),
    "confidence": text(PERCENTILES.format(column="confidence", key="label_id")),
    "latency": text(PERCENTILES.format(column="latency_seconds", key="0")),
}
MONTH = {"start": "2026-01-01Z", "end": "2026-01-31Z", "width": "30 days", "fractions": "{0.5}"}
QUESTIONS = {
    "median of values, 30 days": ("value", MONTH),
    "box plots of 3 days": ("value", MONTH | {"width": "3 days", "fractions": "{0,.25,.5,.75,1}"}),
    "median of confidence by class": ("confidence", MONTH),
    "latency p50, p95, p99": ("latency", MONTH | {"fractions": "{0.5,0.95,0.99}"}),
    "the same from 07:28:40": (
        "latency",
        {"start": "2026-01-01T07:28:40Z", "end": "2026-01-30T07:28:40Z", "width": "29 days"}
        | {"fractions": "{0.5,0.95,0.99}"},
    ),
}


def main(rows: int = 5_000_000) -> None:
    """Print milliseconds of each way, and that both give the same."""
    with fresh_database() as database:
        load_predictions(database, SERIES, PREDICTIONS, rows=rows, days=DAYS)
        in_both_stores(database, rows, report)


def rows_of(conn: Connection, statement: TextClause, asked: Mapping[str, str]) -> object:
    """All rows of a question."""
    return conn.execute(statement, asked).all()


def report(store: str, database: Database) -> None:
    """A line per question."""
    print(store)
    heading()
    with database.reading() as conn:
        for question, (measure, asked) in QUESTIONS.items():
            same(conn, measure, asked)
            compared(
                question,
                partial(rows_of, conn, QUANTILES, {"measure": measure, **asked}),
                partial(rows_of, conn, ROWS[measure], asked),
            )


def same(conn: Connection, measure: str, asked: dict[str, str]) -> None:
    """Both ways have the same quantiles, or none is worth measuring."""
    found = conn.execute(QUANTILES, {"measure": measure, **asked}).all()
    for ours, theirs in zip(found, conn.execute(ROWS[measure], asked), strict=True):
        if any(abs(a - b) > CLOSE for a, b in zip(ours[2], theirs[2], strict=True)):
            raise AssertionError(f"quantiles differ: {ours}, {theirs}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
