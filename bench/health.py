"""Health of 30 days of one model, through the planner and in plain SQL over the rows.

Predictions of 30 days by 50 models, half of them regressors, one deployment each. The peer is the
statement that one would write without levels. Run it with

    python -m bench.health [predictions]

TRUTHLINE_DATABASE_URL names a server; without, an embedded one is started.
"""

import sys
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from app.query.deployments import DeployedModel, deployment
from app.query.health import BoxPlot, RequestVolume, box_plots, request_volume, tenths
from app.query.question import Question, parameters
from app.query.window import Window
from app.rollup.refresh import refresh
from app.store.database import Database
from bench.database import fresh_database
from bench.levels import describe_levels, settle
from bench.timing import compared, heading

CLOSE = 1e-9
MODELS = 50
END = datetime(2026, 3, 2, 7, 28, 40, tzinfo=UTC)
WINDOW = Window(END - timedelta(days=30), END)
DEPLOYMENTS = text("""
    WITH made AS (
        INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
        SELECT 1, '', '', 'm' || n,
               CASE WHEN n % 2 = 0 THEN 'regression' ELSE 'classification' END
        FROM generate_series(1, :models) AS n RETURNING id, name
    )
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT id, 'd' || substr(name, 2), '', '', '' FROM made
""")
LABELS = text("""
    INSERT INTO label (workspace_id, name) SELECT 1, 'class ' || n FROM generate_series(1, 10) AS n
""")
PREDICTIONS = text("""
    INSERT INTO prediction (received_at, time, value, confidence, latency_seconds, series_id,
        label_id, batch_index, starts_request, starts_label, failed)
    SELECT made, made, CASE WHEN numeric_ THEN 200 + 50 * random_normal() END,
           CASE WHEN NOT numeric_ THEN random() END, round(random()::numeric / 100, 6), series_id,
           CASE WHEN NOT numeric_ THEN 1 + floor(random() * 10)::integer END, 0, true, true, false
    FROM (SELECT CAST(:start AS timestamptz) + n * CAST(:step AS interval) AS made,
                 1 + n % :models AS place
          FROM generate_series(0, :rows - 1) AS n) AS row
    JOIN (SELECT series.id, model.kind = 'regression',
                 row_number() OVER (ORDER BY series.id) AS place
          FROM series JOIN model ON model.id = series.model_id) AS s (series_id, numeric_, place)
        USING (place)
""")
RAW_LOAD = text("""
    SELECT grid.bucket_start, count(p.time) FILTER (WHERE starts_request AND NOT failed),
           count(p.time) FILTER (WHERE starts_request AND failed),
           1000 * avg(latency_seconds) FILTER (WHERE starts_request)
    FROM truthline_internal.buckets(CAST(:start AS timestamptz), CAST(:end AS timestamptz),
                           CAST(:width AS interval), CAST(:origin AS timestamptz)) AS grid
    LEFT JOIN (
        SELECT *, date_bin(CAST(:width AS interval), time, CAST(:origin AS timestamptz)) AS bin
        FROM prediction
        WHERE series_id = ANY (CAST(:series AS integer[]))
          AND time >= CAST(:start AS timestamptz) AND time < CAST(:end AS timestamptz)
          AND received_at >= CAST(:start AS timestamptz) - INTERVAL '25 hours'
    ) AS p
      ON bin = date_bin(CAST(:width AS interval), bucket_start, CAST(:origin AS timestamptz))
    GROUP BY 1 ORDER BY 1
""")
RAW_SPREADS = text("""
    SELECT date_bin(CAST(:width AS interval), time, CAST(:origin AS timestamptz)),
           percentile_cont('{0,0.25,0.5,0.75,1}'::float8[]) WITHIN GROUP (ORDER BY value)
    FROM prediction
    WHERE series_id = ANY (CAST(:series AS integer[])) AND value IS NOT NULL
      AND time >= CAST(:start AS timestamptz) AND time < CAST(:end AS timestamptz)
      AND received_at >= CAST(:start AS timestamptz) - INTERVAL '25 hours'
    GROUP BY 1 ORDER BY 1
""")


def main(rows: int = 20_000_000) -> None:
    """Print milliseconds of each way, and that both give the same."""
    with fresh_database() as database:
        prepare(database, rows)
        began = time.perf_counter()
        refresh(database)
        print(f"levels of {rows:,} predictions in {time.perf_counter() - began:.0f} s")
        settle(database)
        describe_levels(database)
        with database.reading() as conn:
            report(conn)


def prepare(database: Database, rows: int) -> None:
    """Thirty days of predictions, not in any level yet, and nobody else at work on them."""
    span = WINDOW.end - WINDOW.start
    loaded = {"rows": rows, "models": MODELS, "start": END - span, "step": span / rows}
    with database.writing() as conn:
        conn.execute(DEPLOYMENTS, {"models": MODELS})
        conn.execute(LABELS)
        conn.execute(PREDICTIONS, loaded)
    settle(database)


def report(conn: Connection) -> None:
    """A line per question: the parts of an answer, and all of it."""
    heading()
    grid = tenths(WINDOW)
    for name, kind in (("d1", "classifier"), ("d2", "regressor")):
        model = deployment(conn, workspace_id=1, name=name).model
        question = Question(1, model, WINDOW, grid)
        raw = parameters(question)

        def counted(question: Question[DeployedModel] = question) -> RequestVolume:
            return request_volume(conn, question)

        def counted_raw(raw: dict[str, object] = raw) -> object:
            return conn.execute(RAW_LOAD, raw).all()

        compared(f"30 days of a {kind}: requests", counted, counted_raw)

    def boxes() -> list[BoxPlot]:
        return box_plots(conn, question)

    def boxes_raw() -> object:
        return conn.execute(RAW_SPREADS, raw).all()

    same(conn, question, raw)
    compared("its box plots", boxes, boxes_raw)
    compared(
        "both, as health answers",
        lambda: (counted(), boxes()),
        lambda: (counted_raw(), boxes_raw()),
    )


def same(conn: Connection, question: Question[DeployedModel], raw: dict[str, object]) -> None:
    """Both ways have the same counts and boxes, or none is worth measuring."""
    found = request_volume(conn, question)
    counts = [(one.start, one.answered, one.failed) for one in found.buckets]
    if counts != [tuple(row[:3]) for row in conn.execute(RAW_LOAD, raw)]:
        raise AssertionError("counts differ")
    boxes = box_plots(conn, question)
    for box, row in zip(boxes, conn.execute(RAW_SPREADS, raw), strict=True):
        if any(abs(a - b) > CLOSE for a, b in zip(box.quantiles, row[1], strict=True)):
            raise AssertionError("boxes differ")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
