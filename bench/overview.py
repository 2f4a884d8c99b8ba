"""The page of all models: two hundred of them, through the planner and in a browser.

A week of predictions and outcomes, as many of each, spread over 200 models of 10 classes or of
numbers. Counts the statements that the page asks for, also with a tenth of the models; and times
the overview against plain SQL over the rows, and until the table stands in a browser, if Chromium
is there. Run it with

    python -m bench.overview [rows]

TRUTHLINE_DATABASE_URL names a server; without, an embedded one is started.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from flask.testing import FlaskClient
from playwright.sync_api import expect, sync_playwright
from sqlalchemy import event, text

from app.config import Settings
from app.factory import create_app
from app.query.overview import ModelOverview, overview
from app.query.question import Question
from app.query.subjects import ALL
from app.query.window import Calendar, Grid, Window, fixed_grid
from app.rollup.refresh import refresh
from app.store.database import Database
from bench.database import fresh_database
from bench.levels import describe_levels, settle
from bench.report import Sample, note, note_facts
from bench.timing import compared, heading
from tests.api.live import Keeping, serving

MODELS, FEW = 200, 20
END = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
LOADED = timedelta(days=14)
WINDOWS = {
    "24 hours": (timedelta(hours=24), fixed_grid(timedelta(hours=1), "UTC")),
    "7 days": (timedelta(days=7), fixed_grid(Calendar(days=1), "UTC")),
}
PATIENCE_MS, VISITS = 120_000, 4
SERIES = text("""
    WITH of AS (INSERT INTO workspace (name) VALUES (:workspace) RETURNING id),
    made AS (
        INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
        SELECT of.id, 'shop', 'p' || n % 20, 'model-' || n,
               CASE WHEN n % 4 = 0 THEN 'regression' ELSE 'classification' END
        FROM of CROSS JOIN generate_series(1, :models) AS n RETURNING id
    )
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT id, '', 'v1', '', '' FROM made
""")
LABELS = text("""
    INSERT INTO label (workspace_id, name) SELECT 1, 'class ' || n FROM generate_series(1, 10) AS n
""")
# Rows of both tables: models in turn, and a class or a number.
ROWS = """
    (SELECT CAST(:start AS timestamptz) + n * CAST(:step AS interval) AS made,
            s.id AS series_id, s.numeric_,
            CASE WHEN NOT s.numeric_ THEN 1 + floor(random() * 10)::integer END AS label,
            CASE WHEN s.numeric_ THEN 200 + 50 * random_normal() END AS value
     FROM generate_series(0, :rows - 1) AS n
     JOIN (SELECT series.id, model.kind = 'regression' AS numeric_,
                  row_number() OVER (ORDER BY series.id) - 1 AS place
           FROM series JOIN model ON model.id = series.model_id
           JOIN workspace ON workspace.id = model.workspace_id
           WHERE workspace.name = :workspace) AS s ON s.place = n % :models) AS row
"""
PREDICTIONS = text(f"""
    INSERT INTO prediction (received_at, time, value, confidence, latency_seconds, series_id,
        label_id, batch_index, starts_request, starts_label, failed)
    SELECT made, made, value, CASE WHEN NOT numeric_ THEN random() END,
           round(random()::numeric / 10, 6), series_id, label, 0, true, true, false
    FROM {ROWS}
""")
OUTCOMES = text(f"""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label,
                         predicted_value, actual_value, batch_index)
    SELECT made, made, series_id, label,
           CASE WHEN random() < 0.85 OR label IS NULL THEN label ELSE 1 + label % 10 END,
           value, value + random_normal(), 0
    FROM {ROWS}
""")
RAW = text("""
    SELECT model.id, sum(p.n), sum(o.n)
    FROM model JOIN series ON series.model_id = model.id
    CROSS JOIN (VALUES (true), (false)) AS period (latest)
    LEFT JOIN (
        SELECT series_id, time >= CAST(:start AS timestamptz) AS latest, count(*) AS n,
               avg(latency_seconds)
        FROM prediction WHERE time >= :before AND time < :end AND received_at >= :before
        GROUP BY 1, 2) AS p ON p.series_id = series.id AND p.latest = period.latest
    LEFT JOIN (
        SELECT series_id, time >= CAST(:start AS timestamptz) AS latest, sum(weight) AS n,
               sum(weight) FILTER (WHERE predicted_label = actual_label),
               sum(weight * (predicted_value - actual_value) ^ 2)
        FROM outcome WHERE time >= :before AND time < :end AND received_at >= :before
        GROUP BY 1, 2) AS o ON o.series_id = series.id AND o.latest = period.latest
    WHERE model.workspace_id = :workspace_id
    GROUP BY 1
""")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A workspace and how many models are in it."""

    id: int
    name: str
    models: int


def main(rows: int = 20_000_000) -> None:
    """Print what the page costs."""
    with fresh_database() as database:
        with database.writing() as conn:
            conn.execute(LABELS)
        few = load(database, "few", FEW, rows // 100)
        many = load(database, "many", MODELS, rows)
        settle(database)
        began = time.perf_counter()
        refresh(database)
        print(f"levels of {rows:,} rows in {time.perf_counter() - began:.0f} s")
        settle(database)
        describe_levels(database)
        report_sql(database, many)
        report_page(database, few, many)


def load(database: Database, name: str, models: int, rows: int) -> Loaded:
    """Two weeks of predictions and outcomes: each is half of the rows."""
    half = rows // 2
    loaded = {"workspace": name, "rows": half, "models": models}
    loaded |= {"start": END - LOADED, "step": LOADED / half}
    with database.writing() as conn:
        conn.execute(SERIES, {"workspace": name, "models": models})
        conn.execute(PREDICTIONS, loaded)
        conn.execute(OUTCOMES, loaded)
        id_ = conn.execute(
            text("SELECT id FROM workspace WHERE name = :name"), {"name": name}
        ).scalar_one()
    return Loaded(id_, name, models)


def report_sql(database: Database, many: Loaded) -> None:
    """A line per window: the function, and plain SQL over the rows."""
    heading()
    for words, (length, grid) in WINDOWS.items():
        window = Window(END - length, END)
        asked: dict[str, Any] = {"start": window.start, "end": END}
        asked |= {"before": window.start - length, "workspace_id": many.id}
        with database.reading() as conn:

            def planned(window: Window = window, grid: Grid = grid) -> list[ModelOverview]:
                return overview(conn, Question(many.id, ALL, window, grid))

            if len(planned()) != many.models:
                raise AssertionError("models are missing")
            compared(
                f"{many.models} models, {words}",
                planned,
                lambda: conn.execute(RAW, asked).all(),  # noqa: B023 - at once
            )


def report_page(database: Database, few: Loaded, many: Loaded) -> None:
    """Statements of the page, and seconds until its table stands."""
    settings = Settings(database_url="unused", auth=False)
    app = create_app(settings, database)
    for loaded in (few, many):
        serve_workspace(database, loaded)
        with counted(database) as statements:
            ask_for_panels(app.test_client())
        note_facts(**{f"statements_with_{loaded.models}_models": str(len(statements))})
    if (chromium := shutil.which("chromium")) is None:
        print("left out: there is no Chromium to time the page in")
        return
    fresh = create_app(replace(settings), database)
    with serving(fresh, Keeping) as url:
        in_browser(chromium, url, many)


def serve_workspace(database: Database, loaded: Loaded) -> None:
    """Without authentication the workspace of the name `default` is the one served."""
    with database.writing() as conn:
        conn.execute(text("UPDATE workspace SET name = 'parked-' || id WHERE name = 'default'"))
        named = text("UPDATE workspace SET name = 'default' WHERE id = :id")
        conn.execute(named, {"id": loaded.id})
    database.default_workspace_id = None  # it has changed


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements sent inside the block."""
    sent: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def query() -> str:
    """A week up to the end of what is loaded."""
    window = {"startTime": f"{END - WINDOWS['7 days'][0]:%FT%TZ}", "endTime": f"{END:%FT%TZ}"}
    return "?" + urlencode(window)


def ask_for_panels(client: FlaskClient) -> None:
    """What the browser asks for, panel by panel."""
    for panel in ("models",):
        wanted = {"id": {"panel": panel}, "property": "data-wanted", "value": query()}
        path = {"id": "url", "property": "pathname", "value": "/"}
        own = {"id": {"panel": panel}, "property": "id", "value": {"panel": panel}}
        body = {
            "output": '{"panel":["MATCH"]}.children',
            "outputs": {"id": {"panel": panel}, "property": "children"},
            "inputs": [wanted],
            "state": [path, own],
            "changedPropIds": [f'{{"panel":"{panel}"}}.data-wanted'],
        }
        answer = client.post("/web/_dash-update-component", json=body)
        if answer.status_code != 200 or "refusal" in answer.text:  # noqa: PLR2004 - OK
            raise AssertionError(answer.text[:500])


def in_browser(chromium: str, url: str, many: Loaded) -> None:
    """Seconds until all rows stand and the page answers to the keyboard."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        seconds = []
        for _ in range(VISITS):
            page = context.new_page()
            began = time.perf_counter()
            page.goto(f"{url}/{query()}")
            rows = page.locator("table.models tbody tr")
            expect(rows).to_have_count(many.models, timeout=PATIENCE_MS)
            page.keyboard.press("Tab")
            seconds.append(time.perf_counter() - began)
            page.close()
        note(f"{many.models} rows stand, first visit", Sample("Chromium", seconds[:1]))
        note("the same, later visits", Sample("Chromium", seconds[1:]))
        browser.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
