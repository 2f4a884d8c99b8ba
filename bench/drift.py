"""What does drift cost, compared with SQL over the rows, and with Evidently's report of them?

Two months of predictions of one model: half of them values, half confidences of ten classes, all
with a latency. From the first month to the second, confidences and values have moved a little; what
hardly moves is measured as latencies, which have not. Run it with

    python -m bench.drift [predictions]

where half of the predictions are on each side. TRUTHLINE_DATABASE_URL names a server; without, an
embedded one is started.
"""

import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from pyarrow import parquet
from sqlalchemy import Connection, text

from app.store.database import Database
from bench import peers
from bench.database import fresh_database
from bench.levels import in_both_stores, load_predictions
from bench.quantiles import SERIES
from bench.report import Sample, heading, note, note_versions
from bench.timing import seconds_of

CLOSE = 1e-9
DAYS = 60
PREDICTIONS = text("""
    INSERT INTO prediction (received_at, time, series_id, value, label_id, confidence,
                            latency_seconds, batch_index, starts_request, starts_label, failed)
    SELECT made, made, 1, CASE WHEN n % 2 = 0 THEN 200 + 5 * late + 50 * random_normal() END,
           CASE WHEN n % 2 = 1 THEN 1 + floor(random() * (10 - late))::integer END,
           CASE WHEN n % 2 = 1 THEN 1 - random() * random() * (1 + late / 10.0) / 1.1 END,
           exp(random_normal(-3, 0.5)), 0, true, true, false
    FROM (SELECT n, (2 * n >= :rows)::integer AS late,
                 TIMESTAMPTZ '2026-01-01Z' + n * CAST(:step AS interval) AS made
          FROM generate_series(0, :rows - 1) AS n) AS t
""")
A = "'2026-01-01Z', '2026-01-31Z'"
B = "'2026-01-31Z', '2026-03-02Z'"
DRIFT = text(f"""
    SELECT "values" FROM truthline_internal.drift(
        :quantity, ARRAY[1], CAST(ARRAY[{A}] AS timestamptz[]), 'infinity',
        ARRAY[1], CAST(ARRAY[{B}] AS timestamptz[]), 'infinity', CAST(:wanted AS text[]))
""")
# The same from rows: shares of labels; and for numbers the distances over all of them, in order.
LABELS = text("""
    SELECT sum(abs(p - q)) / 2 FROM (
        SELECT count(*) FILTER (WHERE is_a) / sum(count(*) FILTER (WHERE is_a)) OVER () AS p,
               count(*) FILTER (WHERE NOT is_a) / sum(count(*) FILTER (WHERE NOT is_a)) OVER () AS q
        FROM (SELECT label_id, time < '2026-01-31Z' AS is_a FROM prediction
              WHERE series_id = 1 AND label_id IS NOT NULL AND time < '2026-03-02Z') AS row
        GROUP BY label_id) AS share
""")
NUMBERS = """
    SELECT max(abs(d)), sum(abs(d) * (after - number))
    FROM (
        SELECT number, sum(step) OVER (ORDER BY number) AS d,
               lead(number) OVER (ORDER BY number) AS after
        FROM (
            SELECT number, sum(CASE WHEN is_a THEN 1.0 / n_a ELSE -1.0 / n_b END) AS step
            FROM (SELECT {column} AS number, time < '2026-01-31Z' AS is_a FROM prediction
                  WHERE series_id = 1 AND {column} IS NOT NULL AND time < '2026-03-02Z') AS row
            CROSS JOIN (SELECT count(*) FILTER (WHERE time < '2026-01-31Z')::float8 AS n_a,
                               count(*) FILTER (WHERE time >= '2026-01-31Z')::float8 AS n_b
                        FROM prediction WHERE series_id = 1 AND {column} IS NOT NULL
                                          AND time < '2026-03-02Z') AS total
            GROUP BY number) AS jump) AS both_sides
"""
COLUMNS = {"confidence": "confidence", "value": "value", "latency": "latency_seconds"}
PARTS = "{psi,jensen_shannon,hellinger,total_variation,chi_squared}"


def main(rows: int = 10_000_000) -> None:
    """Print milliseconds of each way, and that all give the same."""
    with fresh_database() as database, ExitStack() as stack:
        load_predictions(database, SERIES, PREDICTIONS, rows=rows, days=DAYS)
        asks: dict[str, Any] = {}
        if peers.installed("evidently"):
            path = stack.enter_context(TemporaryDirectory()) + "/rows.parquet"
            _write(database, Path(path))
            peer = stack.enter_context(peers.running("evidently", "evidently_drift_peer", path))
            note_versions(**peer.versions)
            asks["Evidently"] = peer.seconds
        in_both_stores(database, rows, partial(report, asks))


def report(asks: dict[str, Any], store: str, database: Database) -> None:
    """A line per question."""
    print(store)
    heading()
    with database.reading() as conn:
        same(conn)
        _note(conn, asks, "labels, all statistics", "predicted_label", None, LABELS)
        for quantity, column in COLUMNS.items():
            rows = text(NUMBERS.format(column=column))
            for name, wanted in (
                ("statistics of parts", PARTS),
                ("Kolmogorov-Smirnov", "{ks}"),
                ("Wasserstein-1", "{wasserstein}"),
            ):
                _note(conn, asks, f"{quantity}, {name}", quantity, wanted, rows)


def _note(
    conn: Connection, asks: dict[str, Any], name: str, quantity: str, wanted: str | None, rows: Any
) -> None:
    asked = {"quantity": quantity, "wanted": wanted}
    ours, theirs = seconds_of(
        lambda: conn.execute(DRIFT, asked).all(), lambda: conn.execute(rows).all()
    )
    others = [Sample(peer, [ask(column=quantity)]) for peer, ask in asks.items()]
    note(name, Sample("Truthline", ours), Sample("SQL over the rows", theirs), *others)


def same(conn: Connection) -> None:
    """Both ways have the same distances, or none is worth measuring."""
    asked = {"quantity": "confidence", "wanted": "{ks,wasserstein}"}
    found = conn.execute(DRIFT, asked).scalar_one()
    theirs = conn.execute(text(NUMBERS.format(column="confidence"))).one()
    if any(abs(a - b) > CLOSE for a, b in zip(found, theirs, strict=True)):
        raise AssertionError(f"distances differ: {found}, {theirs}")


def _write(database: Database, path: Path) -> None:
    """All rows as a file, for a peer that reads data frames."""
    with database.reading() as conn:
        rows = conn.execute(
            text("""
                SELECT time < '2026-01-31Z' AS is_a, CAST(label_id AS text) AS predicted_label,
                       confidence, value, latency_seconds AS latency
                FROM prediction WHERE series_id = 1 AND time < '2026-03-02Z'
            """)
        ).mappings()
        parquet.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
