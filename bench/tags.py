"""What do tags cost? The same outcomes of one model as one series, and as ten thousand.

Outcomes of one week, labels an hour late on average. Both models have the same rows; those of the
second are spread over combinations of tags, in equal parts or, as countries and devices are, in
unequal ones. Run it with

    python -m bench.tags [outcomes] [series]

TRUTHLINE_DATABASE_URL names a server; without, an embedded one is started.
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app.query.classification import classification
from app.query.question import Division, Question
from app.query.subjects import Scope
from app.query.tags import NO_TAGS, TagFilter
from app.query.window import Grid, Window
from app.rollup.refresh import refresh
from app.store.database import Database
from app.store.registry import ModelName
from bench.database import fresh_database
from bench.timing import compared, heading

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = Window(START, START + timedelta(days=7))
HOURLY = Grid(timedelta(hours=1))
CLASSES = 2
SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
               VALUES (1, '', '', :name, 'classification') RETURNING id)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version, tags)
    SELECT m.id, '', '', '', '', CASE WHEN :series = 1 THEN '{}' ELSE jsonb_build_object(
        'country', 'c' || n % 50, 'device', 'd' || n / 50 % 20, 'plan', 'p' || n / 1000) END
    FROM m, generate_series(0, :series - 1) AS n
""")
LABELS = text("""
    INSERT INTO label (workspace_id, name) SELECT 1, 'l' || n FROM generate_series(1, :classes) AS n
""")
# `skew` 1 gives each series the same share; with 3 a fifth of them has more than half of the rows.
OUTCOMES = text("""
    WITH mine AS (
        SELECT series.id, row_number() OVER (ORDER BY series.id) AS nth, count(*) OVER () AS count
        FROM series JOIN model ON model.id = model_id WHERE model.name = :name
    ),
    row AS MATERIALIZED (
        SELECT made, -ln(1 - random()) * interval '1 hour' AS late,
               1 + floor(random() * :classes)::integer AS p,
               1 + floor(power(random(), :skew) * (SELECT max(count) FROM mine)) AS nth
        FROM (SELECT CAST(:start AS timestamptz) + n * CAST(:step AS interval) AS made
              FROM generate_series(0, :rows - 1) AS n) AS t
    )
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, batch_index)
    SELECT made + late, made, mine.id, p,
           CASE WHEN random() < 0.9 THEN p ELSE 1 + p % :classes END, 0
    FROM row JOIN mine USING (nth)
    ORDER BY made + late
""")


def main(rows: int = 1_000_000, series: int = 10_000) -> None:
    """Note each question, next to the same week of one series."""
    models = {"one series": (1, 1.0), f"{series:,} series": (series, 1.0), "unequal": (series, 3.0)}
    with fresh_database() as database:
        with database.writing() as conn:
            conn.execute(LABELS, {"classes": CLASSES})
        for name, (count, skew) in models.items():
            _store(database, name, rows, count, skew)
        refresh(database)
        with database.outside_transactions() as conn:
            conn.exec_driver_sql("VACUUM ANALYZE")
        heading()
        one, *others = (_questions(database, ModelName("", "", name)) for name in models)
        (usual,) = one.values()
        for name, questions in zip(list(models)[1:], others, strict=True):
            for question, ask in questions.items():
                compared(f"{question}, {name}", ask, usual, peer="one series, a week by hour")


def _store(database: Database, name: str, rows: int, series: int, skew: float) -> None:
    step = f"{7 * 86_400_000_000 // rows} microseconds"
    told = {"rows": rows, "classes": CLASSES, "start": START, "step": step, "skew": skew}
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        conn.execute(SERIES, {"name": name, "series": series})
        conn.execute(OUTCOMES, told | {"name": name})


def _questions(database: Database, name: ModelName) -> dict[str, Callable[[], object]]:
    def ask(tags: TagFilter = NO_TAGS, division: Division | None = None) -> None:
        question = Question(1, Scope(name, tags=tags), WEEK, HOURLY)
        with database.reading() as conn:
            classification(conn, database.registry, question, division=division)

    questions: dict[str, Callable[[], object]] = {"hourly, a week": ask}
    if name.name != "one series":
        questions["of one country"] = lambda: ask(TagFilter.of(["country:c7"]))
        questions["by country"] = lambda: ask(division=Division("country", 10))
    return questions


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
