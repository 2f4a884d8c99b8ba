"""What is erased is in no table and no answer any more; all else is as if it had never been."""

import contextlib
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.config import Settings
from app.errors import InvalidInput
from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.metadata import ingest_metadata
from app.ingest.predictions import Prediction, ingest_predictions
from app.rollup.columnstore import enable_columnstore
from app.rollup.levels import levels
from app.rollup.refresh import audit_levels, refresh
from app.rollup.retention import drop_expired
from app.store.database import Database
from app.upkeep.erasure import Target, erase, preview
from tests.demodata import REWRITE, SECRET, SECRET_NUMBER, keep_secrets
from tests.rollup.plain import differences
from tests.servers import edition

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
N = 60
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
START = NOW - 40 * DAY  # so that a month ends in between
DAYS = (0, 1, 20, 33, 38)  # on which there are requests
WHOLE = {"start": START - DAY, "end": NOW + DAY, "width": 41 * HOUR, "origin": None}
PERSON = {"user": "123"}
RECEIVED = {
    "prediction": "time + INTERVAL '1 second'",
    "outcome": "time + INTERVAL '90 minutes' * (1 + (weight < 0)::integer)",
}
TABLES = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname IN ('truthline_data', '_timescaledb_internal')
"""


def sent(n):
    """Every fourth request is a regressor's, every fifth of the others that person's."""
    said = {
        "request_id": f"r{n}",
        "time": START + DAYS[n * len(DAYS) // N] * DAY + n % 12 * HOUR,
        "latency_seconds": n / 1000,
    }
    if n % 4 == 0:
        return Prediction(model="price", value=float(n), **said)
    score = (2 + n % 7) / 10
    tags = {0: PERSON, 1: {"user": "7"}}.get(n % 5, {})
    return Prediction(model="pets", tags=tags, scores={"a": score, "b": 1 - score}, **said)


def truth(n, correction=0):
    if n % 4 == 0:
        return Feedback(model="price", request_id=f"r{n}", value=n * 1.1 + correction)
    return Feedback(model="pets", request_id=f"r{n}", label="ab"[(n // 3 + correction) % 2])


def tell(database):
    """Store all, with truths of most and corrections of some."""
    ingest_predictions(database, 1, [sent(n) for n in range(N)])
    ingest_feedback(database, 1, [truth(n) for n in range(N) if n % 10])
    ingest_feedback(database, 1, [truth(n, 1) for n in range(N) if n % 10 and n % 6 == 0])


def rewrite(database):
    """Let rows have been received soon after their time, and be counted."""
    with database.writing() as conn:
        for table, received in RECEIVED.items():
            conn.exec_driver_sql(REWRITE.format(table=table, received=received))
    refresh(database)


@pytest.fixture(scope="module")
def counted_once(empty_database_url, template, as_template):
    """Name of a database with these requests, in all levels and in part in a columnstore."""
    url = empty_database_url(template)
    database = Database.from_settings(Settings(database_url=url))
    tell(database)
    ingest_metadata(database, 1, {("field", f"r{n}"): "x" for n in range(0, N, 10)})
    ingest_feedback(database, 1, [truth(N + 4), truth(N + 5)])
    rewrite(database)
    if edition() == "community":
        with database.outside_transactions() as conn:
            for table in ("prediction", "outcome"):
                enable_columnstore(conn, table)
                conn.execute(text(COMPRESS), {"table": f"truthline_data.{table}"})
    database.dispose()
    return as_template(url)


COMPRESS = """
    SELECT public.compress_chunk(c) FROM (
        SELECT c FROM public.show_chunks(CAST(:table AS regclass)) AS c ORDER BY c LIMIT 3) AS old
"""


@pytest.fixture
def counted(empty_database_url, counted_once):
    settings = Settings(database_url=empty_database_url(counted_once), pool_size=8)
    database = Database.from_settings(settings)
    yield database
    database.dispose()


def series_ids(database):
    with database.reading() as conn:
        return conn.execute(text("SELECT array_agg(id) FROM series")).scalar_one()


def cells(database):
    """All cells of each level, in one order; which of equal sums came first is no matter."""
    with database.reading() as conn:
        names = [level.name for level in levels(conn) if not level.recent]
        return {
            name: conn.execute(
                text(f"SELECT CAST(cell AS text) FROM {name} AS cell ORDER BY 1")
            ).scalars().all()
            for name in names
        }  # fmt: skip


def built_again(database):
    """The cells of levels that were never filled before."""
    with database.writing() as conn:
        conn.execute(text("CALL drop_levels()"))
        conn.execute(text("CALL build_levels()"))
    refresh(database)
    return cells(database)


def wrong(database, rows=None):
    """Where answers differ from plain Python over the rows, now and as of an earlier moment."""
    series = series_ids(database)
    with database.reading() as conn:
        return [
            difference
            for as_of in ("infinity", START + 20 * DAY)
            for difference in differences(conn, series, WHOLE | {"as_of": as_of}, rows)
        ]


def count(database, table, condition="true"):
    with database.reading() as conn:
        return conn.execute(text(f"SELECT count(*) FROM {table} WHERE {condition}")).scalar_one()


def counted_rows(conn):
    """Rows of truths and of predictions, as questions count them."""
    asked = {"series": conn.execute(text("SELECT array_agg(id) FROM series")).scalar_one()}
    asked |= {"start": WHOLE["start"], "end": WHOLE["end"]}
    return tuple(conn.execute(text(COUNTED), asked).one())


COUNTED = """
    WITH edge AS (SELECT truthline_internal.edges(
        CAST(:start AS timestamptz), CAST(:end AS timestamptz), NULL) AS edges)
    SELECT (SELECT sum(n) FROM edge, truthline_internal.outcome_cells(:series, edges)),
           (SELECT sum(n) FROM edge, truthline_internal.prediction_cells(:series, edges))
"""


@contextlib.contextmanager
def asking(database):
    """Ask all the time; yields the answers."""
    seen, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            with database.reading() as conn:
                seen.append(counted_rows(conn))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_levels_are_those_of_the_remaining_rows(counted):
    """Concurrent questions count all of what is erased, or none of it."""
    ids = [f"r{n}" for n in (*range(0, N, 7), N + 4, 10**6)]
    for target in (
        Target(workspace="default", request_ids=ids),
        Target(workspace="default", tag=("user", "123")),
        Target(workspace="default", model=("", "", "price")),
    ):
        with counted.reading() as conn:
            before = counted_rows(conn)
        foreseen = preview(counted, target)
        with asking(counted) as seen:
            erased = erase(counted, target, by="ann")
        with counted.reading() as conn:
            after = counted_rows(conn)
        assert set(seen) <= {before, after}
        assert min(before) > min(after)
        assert (erased.total, list(erased.faults)) == (foreseen.total, [])
        assert wrong(counted) == []
    refresh(counted)
    assert not any(audited.faults for audited in audit_levels(counted))
    found = cells(counted)
    assert sum(map(len, found.values())) > N
    assert found == built_again(counted)


def test_all_that_belongs_to_requests_is_erased(counted):
    ids = ["r0", "r10", "r13", f"r{N + 4}"]
    erased = erase(counted, Target(workspace="default", request_ids=ids), by="ann", reason="t 1")
    named = "request_id IN ('r0', 'r10', 'r13', 'r64')"
    left = [count(counted, table, named) for table in ("prediction", "outcome", "pending_feedback")]
    assert left == [0, 0, 0]
    assert count(counted, "inference_metadata", "inference_id IN ('r0', 'r10')") == 0
    assert count(counted, "pending_feedback") == 1
    assert count(counted, "prediction_key") == N - 3
    with counted.reading() as conn:
        row = conn.execute(text("SELECT * FROM truthline.erasures")).one()
    assert (row.workspace, row.scope, row.requests) == ("default", "requests", 4)
    assert (row.predictions, row.erased_by, row.reason) == (erased.predictions, "ann", "t 1")
    assert not any(id_ in str(row) for id_ in ids)

    # what comes later is new
    ingest_predictions(counted, 1, [sent(13)])
    ingest_feedback(counted, 1, [truth(13)])
    assert count(counted, "outcome", "request_id = 'r13'") == 1
    assert wrong(counted) == []


def test_a_process_that_remembers_erased_tags_registers_them_again(counted):
    tagged = sent(5)
    assert tagged.tags == PERSON
    ingest_predictions(counted, 1, [tagged])  # it remembers
    erase(counted, Target(workspace="default", tag=("user", "123")), by="ann")
    assert count(counted, "series", "tags::text LIKE '%123%'") == 0
    ingest_predictions(counted, 1, [tagged])
    with counted.reading() as conn:
        stored = conn.execute(
            text("SELECT tags FROM prediction JOIN series ON series.id = series_id"
                 " WHERE request_id = 'r5'")
        ).scalars().all()  # fmt: skip
    assert stored == [PERSON]
    assert wrong(counted) == []


def test_what_retention_dropped_is_erased_with_its_tag_only(counted):
    """Where only cells are left, requests have no ids any more."""
    now = datetime.now(UTC)
    with counted.reading() as conn:
        raw = {
            table: conn.execute(text(f"SELECT * FROM {table}")).all()
            for table in ("outcome", "prediction")
        }
    keep = Settings(keep_raw_days=9, keep_fine_days=20, keep_asof_days=5)
    drop_expired(counted, keep, now)
    with counted.reading() as conn:
        since = dict(conn.execute(text("SELECT relation, since FROM retention")).all())
    ids = {f"r{n}" for n in range(0, N, 7)}
    erase(counted, Target(workspace="default", request_ids=sorted(ids)), by="ann")
    rows = {
        table: [r for r in of if not (r.request_id in ids and r.received_at >= since[table])]
        for table, of in raw.items()
    }
    days = {"start": START.replace(hour=0) - DAY, "end": NOW.replace(hour=0) + DAY}
    days |= {"width": DAY, "origin": None, "as_of": "infinity"}
    series = series_ids(counted)
    with counted.reading() as conn:
        assert list(differences(conn, series, days, rows)) == []

    with counted.reading() as conn:
        person = conn.execute(
            text('SELECT id FROM series WHERE tags @> \'{"user": "123"}\'')
        ).scalar_one()
    erase(counted, Target(workspace="default", tag=("user", "123")), by="ann")
    rows = {t: [row for row in of if row.series_id != person] for t, of in rows.items()}
    with counted.reading() as conn:
        assert list(differences(conn, series, days, rows)) == []
    with counted.reading() as conn:
        names = [level.name for level in levels(conn)]
    assert [name for name in names if count(counted, name, f"series_id = {person}")] == []


def test_no_word_of_an_erased_workspace_is_left(fresh_database_url):
    database = Database.from_settings(Settings(database_url=fresh_database_url, pool_size=4))
    with database.writing() as conn:
        theirs = find_or_create_workspace(conn, f"{SECRET}-team")
        create_key(conn, theirs, Role.READ, name=SECRET)
    keep_secrets(database, theirs)
    refresh(database)
    assert len(tables_with(database, SECRET)) > 4
    assert len(tables_with(database, str(SECRET_NUMBER))) > 4
    erase(database, Target(workspace=f"{SECRET}-team"), by="ann")
    assert tables_with(database, SECRET) == tables_with(database, str(SECRET_NUMBER)) == []
    assert count(database, "api_key", "revoked_at IS NULL") == 0
    assert count(database, "truthline.erasures", "scope = 'workspace'") == 1
    with pytest.raises(InvalidInput, match="there is no workspace"):
        erase(database, Target(workspace=f"{SECRET}-team"), by="ann")
    with pytest.raises(InvalidInput, match="default workspace can't"):
        erase(database, Target(workspace="default"), by="ann")
    database.dispose()


def tables_with(database, word):
    with database.reading() as conn:
        tables = conn.execute(text(TABLES)).scalars().all()
        return [
            table
            for table in tables
            if conn.execute(
                text(f"SELECT EXISTS (SELECT FROM {table} AS t WHERE t::text LIKE :word)"),
                {"word": f"%{word}%"},
            ).scalar_one()
        ]
