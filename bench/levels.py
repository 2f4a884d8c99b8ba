"""How much do levels save? The same questions through the planner, folded and not.

Outcomes of one week, 5 series of 10 classes, labels one hour late on average and 1% up to three
days. Run it with `python -m bench.levels [outcomes]`; TRUTHLINE_DATABASE_URL names a server.
"""

import sys
import time

from sqlalchemy import Connection, text

from app.rollup.fold import fold
from app.store.database import Database
from bench.database import fresh_database

SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
               VALUES (1, '', '', 'bench', 'classification') RETURNING id)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT m.id, '', 'v' || n, '', '' FROM m, generate_series(1, 5) AS n
""")
OUTCOMES = text("""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, batch_index)
    SELECT made + late, made, 1 + n % 5, 1 + n % 10,
           CASE WHEN n % 7 = 0 THEN 1 + n % 9 ELSE 1 + n % 10 END, 0
    FROM (SELECT n, timestamptz '2026-01-05Z' + n * interval '7 days' / :rows AS made,
                 CASE WHEN n % 100 = 0 THEN random() * interval '3 days'
                      ELSE -ln(1 - random()) * interval '1 hour' END AS late
          FROM generate_series(0, :rows - 1) AS n) AS row
    ORDER BY made + late
""")
ASK = text("""
    SELECT count(*) FROM truthline.classification_metrics(
        ARRAY[1], CAST(:start AS timestamptz), CAST(:end AS timestamptz),
        width => CAST(:width AS interval))
""")
QUESTIONS = {
    "hourly, a week": ("2026-01-05Z", "2026-01-12Z", "1 hour"),
    "six hours, a week": ("2026-01-05Z", "2026-01-12Z", "6 hours"),
    "six hours, starting at :22 s": ("2026-01-05T00:00:22Z", "2026-01-12T00:00:22Z", "6 hours"),
    "five minutes, a day": ("2026-01-08Z", "2026-01-09Z", "5 minutes"),
}


def main(rows: int = 2_000_000) -> None:
    """Print a line per question: milliseconds raw, folded, and their ratio."""
    with fresh_database() as database:
        with database.writing() as conn:
            conn.execute(SERIES)
            conn.execute(OUTCOMES, {"rows": rows})
        vacuum(database)
        raw = ask_all(database)
        began = time.perf_counter()
        cells = [f"{level.level} {level.cells:,}" for level in fold(database)]
        print(
            f"folded {rows:,} outcomes in {time.perf_counter() - began:.1f} s: {', '.join(cells)}"
        )
        vacuum(database)
        folded = ask_all(database)
    for question, seconds in raw.items():
        ratio = seconds / folded[question]
        print(f"{question:30} {seconds * 1000:9.1f} {folded[question] * 1000:8.1f} {ratio:7.1f}")


def vacuum(database: Database) -> None:
    """What autovacuum would have done by the time anybody asks."""
    with database.engine.connect() as conn:
        conn.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


def ask_all(database: Database) -> dict[str, float]:
    """Seconds per question, the fastest of three."""
    with database.engine.connect() as conn:
        return {name: min(asked(conn, name) for _ in range(3)) for name in QUESTIONS}


def asked(conn: Connection, name: str) -> float:
    """Seconds of one answer."""
    began = time.perf_counter()
    conn.execute(ASK, dict(zip(("start", "end", "width"), QUESTIONS[name], strict=True))).all()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
