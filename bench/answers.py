"""The way of a question: from an HTTP request to its answer, with levels filled.

Predictions of a hundred hours with their truths, of a model of ten classes; and of 10,000 hours of
a model of fourteen. Each question goes over HTTP to `truthline serve`, next to `/livez`, which asks
nobody: rounds go back and forth, so that what disturbs the machine disturbs both. Run it with

    python -m bench.answers [truths]
    python -m bench.answers profile [truths]

`profile` sends the questions within the process instead, and prints what each statement took, and
the functions that took the most. TRUTHLINE_DATABASE_URL names a server; without, an embedded one is
started.
"""

import cProfile
import http.client
import pstats
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlencode, urlsplit

import psycopg
from flask.testing import FlaskClient
from sqlalchemy import text

from app.auth.keys import Role, create_key
from app.config import Settings
from app.factory import create_app
from app.rollup.refresh import refresh
from app.store.database import Database
from bench import servers
from bench.database import fresh_database
from bench.report import Sample, heading, note
from bench.timing import seconds_of

START = datetime(2026, 1, 5, tzinfo=UTC)
LONG_AGO = datetime(2024, 9, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
ROUNDS = 20
TRUTHS = 300_000
NATIVE, SELDON = "/api/v1/metrics/", "/metrics-server/api/v1/metrics/pipeline/"
SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name, kind)
               VALUES (1, '', '', :model, 'classification') RETURNING id)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT m.id, '', '1', '', '' FROM m
""")
LABELS = text("""
    INSERT INTO label (workspace_id, name)
    SELECT 1, 'class ' || to_char(n, 'FM00') FROM generate_series(1, 14) AS n
""")
# A row of each table: a prediction, and a minute later its truth, which is the same class in six of
# seven cases.
ROWS = """
    (SELECT made, series.id AS series_id, p, CASE WHEN random() < 0.85 THEN p
                ELSE 1 + floor(random() * :classes)::integer END AS truth, random() AS score
     FROM (SELECT CAST(:start AS timestamptz) + n * CAST(:step AS interval) AS made,
                  1 + floor(random() * :classes)::integer AS p
           FROM generate_series(0, :rows - 1) AS n) AS one
     CROSS JOIN (SELECT series.id FROM series JOIN model ON model.id = model_id
                 WHERE name = :model) AS series) AS row
"""
PREDICTIONS = text(f"""
    INSERT INTO prediction (received_at, time, confidence, latency_seconds, series_id, label_id,
                            batch_index, starts_request, starts_label, failed)
    SELECT made, made, score, round(random()::numeric / 100, 6), series_id, p, 0, true, true, false
    FROM {ROWS}
""")
OUTCOMES = text(f"""
    INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label, batch_index)
    SELECT made + interval '1 minute', made, series_id, p, truth, 0 FROM {ROWS}
""")


def _window(hours: float, interval: timedelta | None, start: datetime = START) -> dict[str, str]:
    window = {"startTime": start.isoformat(), "endTime": (start + hours * HOUR).isoformat()}
    return window | ({"interval": f"{interval.total_seconds():.0f}s"} if interval else {})


HOURLY = _window(100, HOUR)
LONG = _window(10_000, HOUR, LONG_AGO) | {"model": "long"}
TEN_SECONDS = _window(1 / 30, timedelta(seconds=10), START + 50 * HOUR + timedelta(seconds=22))
TEN = {"model": "ten"}
VENDOR = {"namespace": "", "pipelineName": "", "modelName": "ten"}
QUESTIONS = {
    "100 hours of 10 classes": (f"{NATIVE}classification", HOURLY | TEN),
    "the same, weighted": (f"{NATIVE}classification", HOURLY | TEN | {"average": "weighted"}),
    "the same, with intervals": (f"{NATIVE}classification", HOURLY | TEN | {"confidence": "0.95"}),
    "the same, Seldon's dialect": (f"{SELDON}classification", HOURLY | VENDOR),
    "12 buckets of 10 seconds": (f"{NATIVE}classification", TEN_SECONDS | TEN),
    "the same, Seldon's way": (f"{SELDON}classification", TEN_SECONDS | VENDOR),
    "scores, one bucket": (f"{NATIVE}scores", _window(100, None) | TEN),
}
LARGE = {"10,000 hours of 14 classes": (f"{NATIVE}classification", LONG)}
Question = tuple[str, dict[str, str]]


def main(truths: int = TRUTHS) -> None:
    """Note each question next to `/livez`: its ratio is what a question costs beyond HTTP."""
    with fresh_database() as database:
        key = prepare(database, truths)
        with servers.truthline(database, "--no-worker") as address, _asking(address, key) as ask:
            heading()
            for name, question in (QUESTIONS | LARGE).items():
                _report(name, question, ask)


def prepare(database: Database, truths: int = TRUTHS) -> str:
    """Two models with truths, and levels of them; returns a key."""
    with database.writing() as conn:
        conn.execute(LABELS)
    _store(database, "ten", 10, truths, START, 100 * HOUR)
    _store(database, "long", 14, truths, LONG_AGO, 10_000 * HOUR)
    refresh(database)
    with database.outside_transactions() as conn:
        conn.exec_driver_sql("VACUUM ANALYZE")
    with database.writing() as conn:
        return create_key(conn, 1, Role.READ)


def _store(
    database: Database, model: str, classes: int, rows: int, start: datetime, span: timedelta
) -> None:
    made = {"model": model, "classes": classes, "rows": rows, "start": start, "step": span / rows}
    with database.writing() as conn:
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
        conn.execute(SERIES, {"model": model})
        conn.execute(PREDICTIONS, made)
        conn.execute(OUTCOMES, made)


@contextmanager
def _asking(address: str, key: str) -> Iterator[Callable[[str], int]]:
    """Sends a request over a connection that is kept, and returns the bytes of its answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    headers = {"Authorization": f"Bearer {key}"}

    def ask(target: str) -> int:
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{target}: {body.decode()}")
        return len(body)

    yield ask
    connection.close()


def _report(name: str, question: Question, ask: Callable[[str], int]) -> None:
    target = f"{question[0]}?{urlencode(question[1])}"
    megabytes = ask(target) / 1e6
    ours, floor = seconds_of(partial(ask, target), partial(ask, "/livez"))
    title = f"{name} ({megabytes:.2f} MB)"
    note(title, Sample("Truthline, HTTP", ours), Sample("/livez", floor))


# --- where the time goes ------------------------------------------------------------------


def profile(truths: int = TRUTHS) -> None:
    """Print the statements of each question and the functions that take longest."""
    with fresh_database() as database:
        profile_prepared(database, prepare(database, truths))


def profile_prepared(database: Database, key: str) -> None:
    """The same, of a database that has the rows."""
    settings = Settings(
        database_url=database.engine.url.render_as_string(hide_password=False),
        statement_timeout_ms=0,
    )
    client = create_app(settings, database).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    for name, question in QUESTIONS.items():
        _profile(name, question, client)


def _profile(name: str, question: Question, client: FlaskClient) -> None:
    def ask() -> int:
        answer = client.get(question[0], query_string=question[1])
        return len(answer.data)

    ask()
    seconds = min(_timed(ask) for _ in range(ROUNDS))
    print(f"\n{name}: {seconds * 1000:.1f} ms, {ask():,} bytes")
    for statement, took in _statements(ask).items():
        print(f"  {took * 1000:8.1f}  {statement}")
    profiler = cProfile.Profile()
    for _ in range(ROUNDS):
        profiler.runcall(ask)
    stats = pstats.Stats(profiler)
    stats.sort_stats("tottime").print_stats(12)


def _timed(ask: Callable[[], int]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def _statements(ask: Callable[[], int]) -> dict[str, float]:
    """Seconds that the driver took for each statement, in the order in which they are sent."""
    best: dict[str, float] = {}
    execute = psycopg.Cursor.execute

    def timed(cursor: psycopg.Cursor, query: bytes | str, *args: object, **more: object) -> object:
        words = (query.decode() if isinstance(query, bytes) else str(query)).split()
        began = time.perf_counter()
        result = execute(cursor, query, *args, **more)  # type: ignore[call-overload] # as given
        said = " ".join(words)[:90]
        best[said] = min(best.get(said, float("inf")), time.perf_counter() - began)
        return result

    psycopg.Cursor.execute = timed  # type: ignore[assignment,method-assign] # for these
    try:
        for _ in range(ROUNDS):
            ask()
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign] # as it was
    return best


if __name__ == "__main__":
    if sys.argv[1:2] == ["profile"]:
        profile(*map(int, sys.argv[2:]))
    else:
        main(*map(int, sys.argv[1:]))
