"""A large batch does not delay writers of other requests."""

import re
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, text

from app.auth.workspaces import find_or_create_workspace
from app.errors import Unavailable
from app.ingest.batch import Verdict
from app.ingest.feedback import ingest_feedback
from app.ingest.predictions import ingest_predictions
from tests.ingest.crowd import databases, new_model, prediction, truth

# Far more requests, and models, than there would be of any kind of buckets.
LARGE, MANY = 3000, 40
ROOT = Path(__file__).parents[2]
ADVISORY = re.compile(r"pg_(try_)?advisory")
SOON = text("SET LOCAL statement_timeout = '3s'")


@pytest.fixture
def pair(shared_settings):
    """Two processes."""
    with databases(shared_settings.database_url, 2) as opened:
        yield opened


@contextmanager
def before_commit(database, call):
    """Call once a transaction of that process has done all that it does, and holds all its locks.

    The first one that stores; ids are registered in others before it.
    """
    pending = [call]

    def on_commit(connection):
        stored = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
            " AND relation IN ('prediction'::regclass, 'pending_feedback'::regclass,"
            " 'outcome'::regclass)"
            " AND mode = 'RowExclusiveLock'"
        ).scalar_one()
        if stored and pending:
            pending.pop()()

    event.listen(database.engine, "commit", on_commit)
    try:
        yield
    finally:
        event.remove(database.engine, "commit", on_commit)
    assert not pending


def in_a_moment(database):
    """Let statements of that process fail that wait."""

    def limit(connection):
        connection.execute(SOON)

    event.listen(database.engine, "begin", limit)


@pytest.mark.parametrize("ingest", [ingest_predictions, ingest_feedback])
@pytest.mark.parametrize("whose", ["its own model", "another model", "another workspace"])
def test_single_rows_pass_a_large_batch(pair, database, workspace, second_workspace, ingest, whose):
    busy, other = pair
    model = new_model()
    mine = second_workspace if whose == "another workspace" else workspace.id
    models = [model] if whose == "its own model" else [new_model() for _ in range(MANY)]
    ingest_predictions(other, mine, [prediction(single, -1) for single in models])
    in_a_moment(other)

    def singles():
        for single in models:
            said = ingest_feedback(other, mine, [truth(single, LARGE)])
            assert said == Verdict(1, 0, pending=1)
            assert ingest_predictions(other, mine, [prediction(single, LARGE)]) == Verdict(1, 0)
            assert ingest_feedback(other, mine, [truth(single, -1)]) == Verdict(1, 0)

    make = prediction if ingest is ingest_predictions else truth
    with before_commit(busy, singles):
        ingest(busy, workspace.id, [make(model, number) for number in range(LARGE)])


@pytest.fixture
def second_workspace(database):
    with database.writing() as conn:
        return find_or_create_workspace(conn, new_model())


def test_only_writers_of_the_same_request_wait(pair, workspace):
    """It would be no lock otherwise."""
    busy, other = pair
    model = new_model()
    ingest_predictions(other, workspace.id, [prediction(model, 0)])
    in_a_moment(other)

    def same():
        with pytest.raises(Unavailable, match="took too long"):
            ingest_feedback(other, workspace.id, [truth(model, 0, "no")])

    with before_commit(busy, same):
        ingest_feedback(busy, workspace.id, [truth(model, n) for n in range(2)])


@pytest.mark.parametrize("folder", ["app", "migrations", "sql"])
def test_no_lock_is_one_that_anybody_may_take(folder):
    """Any role that can connect may take an advisory lock, and hold it."""
    files = [f for kind in ("*.py", "*.sql") for f in (ROOT / folder).rglob(kind)]
    assert files
    assert [f.name for f in files if ADVISORY.search(f.read_text())] == []
