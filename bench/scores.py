"""What do exact metrics of scores cost, compared with scikit-learn over the rows?

Thirty days of scored predictions with their truths, of one binary model whose positive class is
rare. Truths arrive within two days, and one in a hundred is corrected. Run it with

    python -m bench.scores [truths]

TRUTHLINE_DATABASE_URL names a server; without, an embedded one is started.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from sqlalchemy import Connection, Row, text

from app.rollup.refresh import refresh
from app.store.database import Database
from bench.database import fresh_database
from bench.timing import compared, heading

CLOSE = 1e-9
DAYS = 30
START = datetime(2026, 1, 1, tzinfo=UTC)
SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
               VALUES (1, '', '', 'bench', 'classification') RETURNING id),
         l AS (INSERT INTO label (workspace_id, name)
               VALUES (1, 'no'), (1, 'yes') RETURNING id),
         c AS (INSERT INTO model_class (model_id, label_id, place)
               SELECT m.id, l.id, row_number() OVER () FROM m, l)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT m.id, '', '1', '', '' FROM m
""")
# Scores of the positive class are skewed towards 0, and a truth is positive as often as they say.
# One in ten has three digits, so that there are ties.
OUTCOMES = text("""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, weight,
                         batch_index, request_id, predicted_score, actual_score, other_score,
                         rest_squared)
    SELECT made + random() * CAST('2 days' AS interval), made, 1,
           1 + (score > 0.5)::integer, 1 + hit::integer, 1, 0, n::text, greatest(score, 1 - score),
           CASE WHEN hit THEN score ELSE 1 - score END, least(score, 1 - score),
           CASE WHEN hit THEN (1 - score) ^ 2 ELSE score ^ 2 END
    FROM (
        SELECT n, made, score, random() < score AS hit
        FROM (SELECT n, CAST(:start AS timestamptz) + n * CAST(:step AS interval) AS made,
                     CASE WHEN n % 10 = 0 THEN round(of_n::numeric, 3)::float8 ELSE of_n END
              FROM (SELECT n, random() ^ 8 AS of_n FROM generate_series(0, :rows - 1) AS n) AS t
             ) AS s (n, made, score)
    ) AS known
""")
CORRECTIONS = text("""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, weight,
                         batch_index, request_id, predicted_score, actual_score, other_score,
                         rest_squared)
    SELECT received_at + CAST('1 day' AS interval), time, 1, predicted_label,
           CASE WHEN w.weight = 1 THEN 3 - actual_label ELSE actual_label END, w.weight, 0,
           request_id, predicted_score,
           CASE WHEN w.weight = 1 THEN 1 - actual_score ELSE actual_score END, other_score,
           CASE WHEN w.weight = 1 THEN actual_score ^ 2 ELSE rest_squared END
    FROM outcome CROSS JOIN (VALUES (-1), (1)) AS w (weight)
    WHERE request_id LIKE '%00'
""")
METRICS = text("""
    SELECT n, log_loss, roc_auc, average_precision FROM truthline_internal.score_metrics(
        ARRAY[1], truthline_internal.edges(
            CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval)),
        'infinity', 2, CAST(:metrics AS text[]))
""")
LEVELS = text("SELECT subject, name, kept_by FROM level ORDER BY place")
# On TimescaleDB Community the cells of a level are in the chunks of a hypertable.
SIZES = {
    "fold": text("SELECT pg_total_relation_size(CAST(:name AS regclass))"),
    "timescaledb": text("""
        SELECT hypertable_size(format('%I.%I', materialization_hypertable_schema,
                                      materialization_hypertable_name)::regclass)
        FROM timescaledb_information.continuous_aggregates WHERE view_name = :name
    """),
}
ROWS = """
    COPY (
        SELECT floor(extract(epoch FROM time))::bigint,
               CASE WHEN predicted_label = 2 THEN predicted_score ELSE other_score END,
               actual_label - 1, weight
        FROM truthline_data.outcome WHERE series_id = 1 ORDER BY time
    ) TO STDOUT (FORMAT binary)
"""
WIDTHS = {"by day": timedelta(days=1), "of 30 days": timedelta(days=DAYS)}
QUESTIONS = {
    "AUC and log loss": ["roc_auc", "log_loss"],
    "average precision": ["average_precision"],
}


def _weighted(metric: Callable[..., float]) -> Callable[..., float]:
    return lambda hits, scores, weights: metric(hits, scores, sample_weight=weights)


SCIKIT = {
    "AUC and log loss": [_weighted(roc_auc_score), _weighted(log_loss)],
    "average precision": [_weighted(average_precision_score)],
}


def main(rows: int = 4_000_000) -> None:
    """Print bytes per truth, milliseconds of each way, and that both give the same."""
    with fresh_database() as database:
        _load(database, rows)
        _report_sizes(database, rows)
        heading()
        for width in WIDTHS:
            for question in QUESTIONS:
                _report(database, question, width)


def _load(database: Database, rows: int) -> None:
    step = timedelta(days=DAYS) / rows
    with database.writing() as conn:
        conn.execute(SERIES)
        conn.execute(OUTCOMES, {"rows": rows, "start": START, "step": step})
        conn.execute(CORRECTIONS)
    refresh(database)
    with database.engine.connect() as conn:
        conn.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


def _report_sizes(database: Database, rows: int) -> None:
    """Bytes per truth of the levels of each subject, with their indexes."""
    sizes: Counter[str] = Counter()
    with database.reading() as conn:
        for subject, name, kept_by in conn.execute(LEVELS):
            sizes[subject] += conn.execute(SIZES[kept_by], {"name": name}).scalar_one()
    for subject, size in sizes.items():
        print(f"{subject:12} {size / rows:8.1f} bytes per truth")


def _report(database: Database, question: str, width: str) -> None:
    asked = {
        "start": START,
        "end": START + timedelta(days=DAYS),
        "width": WIDTHS[width],
        "metrics": QUESTIONS[question],
    }
    with database.reading() as conn:
        ours = conn.execute(METRICS, asked).all()
        _same(ours, _by_sklearn(conn, question, WIDTHS[width]))
        compared(
            f"{question} {width}",
            lambda: conn.execute(METRICS, asked).all(),
            partial(_by_sklearn, conn, question, WIDTHS[width]),
        )


def _by_sklearn(conn: Connection, question: str, width: timedelta) -> list[list[float]]:
    """The metrics of each bucket by scikit-learn; a withdrawn truth has the weight -1."""
    rows = _rows(conn)
    bucket = (rows["time"].astype(int) - int(START.timestamp())) // int(width.total_seconds())
    edges = np.searchsorted(bucket, np.arange(bucket[-1] + 2))
    metrics = SCIKIT[question]
    columns = [rows[name].astype(float) for name in ("hit", "score", "weight")]
    return [
        [metric(*(column[begin:end] for column in columns)) for metric in metrics]
        for begin, end in pairwise(edges)
    ]


def _rows(conn: Connection) -> np.ndarray:
    """Times, scores, truths and weights of all rows, by time."""
    # of each row the number of columns, and of each column its length and its value
    kind = np.dtype(
        {
            "names": ["time", "score", "hit", "weight"],
            "formats": [">i8", ">f8", ">i4", ">i2"],
            "offsets": [6, 18, 30, 38],
            "itemsize": 40,
        }
    )
    driver = conn.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(ROWS) as copy:  # type: ignore[union-attr]
        data = b"".join(copy)
    return np.frombuffer(data, kind, offset=19, count=(len(data) - 21) // kind.itemsize)


def _same(ours: Sequence[Row[Any]], theirs: list[list[float]]) -> None:
    """Both ways have the same numbers, or none is worth measuring."""
    for row, expected in zip(ours, theirs, strict=True):
        found = [number for number in (row.roc_auc, row.log_loss, row.average_precision) if number]
        if any(abs(a - b) > CLOSE for a, b in zip(found, expected, strict=True)):
            raise AssertionError(f"metrics differ: {found}, {expected}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
