"""How much do levels save? Confusion matrices through the planner and by plain SQL over the rows.

Outcomes of one week, 5 series, labels an hour late on average and 1% up to three days. The peer is
the statement that one would write without levels, over the row store and, where the edition has
it, over the columnstore. Run it with

    python -m bench.levels [outcomes] [classes]
    python -m bench.levels growth

TRUTHLINE_DATABASE_URL names a server; without, an embedded one is started.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Executable, text

from app.rollup.columnstore import enable_columnstore
from app.rollup.levels import levels
from app.rollup.refresh import refresh
from app.store.database import Database
from app.store.edition import Edition, server_info
from bench.database import fresh_database
from bench.report import Sample, heading, note
from bench.timing import tries

CORRECTIONS = 1_000
SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
               VALUES (1, '', '', 'bench', 'classification') RETURNING id)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT m.id, '', 'v' || n, '', '' FROM m, generate_series(1, 5) AS n
""")
OUTCOMES = text("""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, batch_index)
    SELECT made + late, made, 1 + floor(random() * 5)::integer, p,
           CASE WHEN random() < 0.85 THEN p ELSE 1 + floor(random() * :classes)::integer END, 0
    FROM (SELECT made, 1 + floor(random() * :classes)::integer AS p,
                 CASE WHEN n % 100 = 0 THEN random() * interval '3 days'
                      ELSE -ln(1 - random()) * interval '1 hour' END AS late
          FROM (SELECT n, CAST(:start AS timestamptz) + n * CAST(:step AS interval) AS made
                FROM generate_series(0, :rows - 1) AS n) AS t) AS row
    ORDER BY made + late
""")
# Rows go on arriving, of another model: the levels reach the present, as on any day.
TODAY = text("""
    INSERT INTO outcome (time, series_id, predicted_label, actual_label, batch_index)
    VALUES (clock_timestamp(), 2, 1, 1, 0)
""")
LATE = text("""
    INSERT INTO outcome (time, series_id, predicted_label, actual_label, weight, batch_index)
    SELECT o.time, o.series_id, o.predicted_label, pair.label, pair.weight, 0
    FROM (SELECT * FROM outcome WHERE random() < CAST(:n AS float8) / :rows LIMIT :n) AS o
    CROSS JOIN LATERAL (VALUES (o.actual_label, -1), (1 + o.actual_label % 3, 1))
        AS pair (label, weight)
""")
RAW = text("""
    SELECT date_bin(CAST(:width AS interval), time, CAST(:start AS timestamptz)) AS bucket,
           predicted_label, actual_label, sum(weight) AS n
    FROM outcome
    WHERE series_id = 1 AND time >= CAST(:start AS timestamptz) AND time < CAST(:end AS timestamptz)
      AND received_at < CAST(:as_of AS timestamptz)
    GROUP BY 1, 2, 3 HAVING sum(weight) <> 0
""")
PLANNED = text("""
    SELECT place, predicted_label, actual_label, n
    FROM truthline_internal.outcome_cells(
        ARRAY[1], truthline_internal.edges(
            CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:width AS interval)),
        CAST(:as_of AS timestamptz))
""")


@dataclass(frozen=True, slots=True)
class Question:
    """A window, the width of its buckets, and as of when."""

    start: str
    end: str
    width: str
    as_of: str = "infinity"

    def parameters(self) -> dict[str, str]:
        """For the statements above."""
        return {name: getattr(self, name) for name in self.__slots__}


WEEK = ("2026-01-05Z", "2026-01-12Z")
QUESTIONS = {
    "hourly, a week": Question(*WEEK, "1 hour"),
    "six hours, a week": Question(*WEEK, "6 hours"),
    "six hours, from :22 s": Question("2026-01-05T00:00:22Z", "2026-01-12T00:00:22Z", "6 hours"),
    "six hours, from :29:31": Question("2026-01-05T00:29:31Z", "2026-01-12T00:29:31Z", "6 hours"),
    "37 minutes, 3 days from :22": Question(
        "2026-01-06T00:00:22Z", "2026-01-09T00:00:22Z", "37 minutes"
    ),
    "five minutes, a day": Question("2026-01-08Z", "2026-01-09Z", "5 minutes"),
    "ten seconds, 10 minutes": Question(
        "2026-01-08T10:01:22Z", "2026-01-08T10:11:22Z", "10 seconds"
    ),
    "the week in one": Question(*WEEK, "7 days"),
    "hourly, as of a moment": Question(*WEEK, "1 hour", "2026-01-11T13:37:42Z"),
}
Seconds = Mapping[str, Sequence[float]]


def main(rows: int = 20_000_000, classes: int = 10) -> None:
    """Note each question: the planner, next to SQL over the rows, and after late corrections."""
    with fresh_database() as database:
        prepare(database, rows, classes)
        ways: dict[str, Seconds] = {"rows": ask_all(database, RAW)}
        began = time.perf_counter()
        refresh(database)
        print(f"levels of {rows:,} outcomes in {time.perf_counter() - began:.0f} s")
        settle(database)
        describe_levels(database)
        ways["planner"] = ask_all(database, PLANNED)
        correct_some(database, rows)
        ways["corrected"] = ask_all(database, PLANNED)
        if compress(database):
            ways["columnstore"] = ask_all(database, RAW)
            ways["planner+cs"] = ask_all(database, PLANNED)
    report(ways)


def growth() -> None:
    """Ask about one same day while older rows make the table grow; milliseconds per size."""
    with fresh_database() as database:
        with database.writing() as conn:
            conn.execute(SERIES)
        day = Question("2026-01-08Z", "2026-01-09Z", "1 hour")
        size, first = 0, 0.0
        # the day asked about is in the newest part; each older part ends where the last began
        for rows, start, days in (
            (1_000_000, "2026-01-06Z", 3),
            (9_000_000, "2025-12-10Z", 27),
            (40_000_000, "2025-08-12Z", 120),
        ):
            load(database, rows=rows, classes=10, start=start, days=days)
            size += rows
            refresh(database)
            settle(database)
            with database.reading() as conn:
                seconds = min(asked(conn, PLANNED, day))
            first = first or seconds
            print(f"{size:12,} rows {seconds * 1000:8.2f} ms  {seconds / first:5.2f}")


def prepare(database: Database, rows: int, classes: int) -> None:
    """A week of outcomes, not in any level yet, and nobody else at work on them."""
    with database.writing() as conn:
        conn.execute(SERIES)
    load(database, rows=rows, classes=classes, start=WEEK[0], days=7)
    settle(database)


def load(database: Database, *, rows: int, classes: int, start: str, days: float) -> None:
    """Outcomes received long ago; the levels are not past them, so no row has to be read."""
    parameters = {"rows": rows, "classes": classes, "start": start}
    parameters["step"] = timedelta(days=days) / rows
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        empty_levels(conn)
        conn.execute(OUTCOMES, parameters)
        conn.execute(TODAY)


def load_predictions(
    database: Database, registries: Executable, predictions: Executable, *, rows: int, days: float
) -> None:
    """Predictions of some days, received as they were made; no level holds them."""
    with database.writing() as conn:
        conn.execute(registries)
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        empty_levels(conn)
        conn.execute(predictions, {"rows": rows, "step": timedelta(days=days) / rows})
    settle(database)


def in_both_stores(database: Database, rows: int, report: Callable[[str, Database], None]) -> None:
    """Fill the levels, and report over the row store and the columnstore, if present."""
    began = time.perf_counter()
    refresh(database)
    print(f"levels of {rows:,} predictions in {time.perf_counter() - began:.0f} s")
    settle(database)
    report("row store", database)
    if compress(database, "prediction"):
        report("columnstore", database)


def empty_levels(conn: Connection) -> None:
    """Let what is loaded next be in no level yet, however long ago it was received."""
    conn.execute(text("UPDATE level SET learned_until = '-infinity', audited_until = '-infinity'"))
    for level in levels(conn):
        if level.folded:
            conn.execute(text(f"TRUNCATE {level.name}"))


def correct_some(database: Database, rows: int) -> None:
    """Late corrections all over the week, as they come after the levels are refreshed."""
    with database.writing() as conn:
        corrected = conn.execute(LATE, {"n": CORRECTIONS, "rows": rows}).rowcount
    print(f"{corrected:,} rows of late corrections")


def compress(
    database: Database, table: str = "outcome", received_before: str = "2026-02-01Z"
) -> bool:
    """Turn the raw rows into the columnstore; False where the edition has none."""
    with database.outside_transactions() as conn:
        if server_info(conn).edition is not Edition.COMMUNITY:
            return False
        enable_columnstore(conn, table)
        compressed = conn.exec_driver_sql(
            f"SELECT public.compress_chunk(c) FROM public.show_chunks('{table}', "
            f"older_than => timestamptz '{received_before}') AS c"
        )
        if not compressed.all():
            raise AssertionError("nothing was compressed")
    settle(database)
    return True


def settle(database: Database) -> None:
    """What autovacuum would have done by the time anybody asks."""
    with database.outside_transactions() as conn:
        conn.exec_driver_sql("VACUUM ANALYZE")


def describe_levels(database: Database) -> None:
    """How many cells each level came to."""
    with database.reading() as conn:
        for level in levels(conn):
            cells = conn.execute(text(f"SELECT count(*) FROM {level.name}")).scalar_one()
            if cells:
                print(f"  {level.name:18} {cells:12,} cells")


def ask_all(database: Database, statement: Executable) -> Seconds:
    """Seconds of each try, per question."""
    with database.reading() as conn:
        return {name: asked(conn, statement, question) for name, question in QUESTIONS.items()}


def asked(conn: Connection, statement: Executable, question: Question) -> Sequence[float]:
    """Seconds of some answers."""
    return tries("", lambda: conn.execute(statement, question.parameters()).all()).seconds


def report(ways: Mapping[str, Seconds]) -> None:
    """A comparison per question: the planner, and each other way."""
    heading()
    others = {way: seconds for way, seconds in ways.items() if way != "planner"}
    for question, planned in ways["planner"].items():
        samples = (Sample(way, seconds[question]) for way, seconds in others.items())
        note(question, Sample("planner", planned), *samples)


RUNS: dict[str, Callable[[], None]] = {"growth": growth}

if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in RUNS:
        RUNS[sys.argv[1]]()
    else:
        main(*map(int, sys.argv[1:]))
