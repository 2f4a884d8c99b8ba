"""An answer reflects the moment that it names: queried again as of then, it is the same."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from app.config import Settings
from app.factory import create_app
from app.ingest.predictions import Prediction, ingest_predictions
from app.rollup.refresh import refresh
from app.store.database import Database
from tests.recorder import QueryRecorder

HOUR = timedelta(hours=1)
read = datetime.fromisoformat
ASKED_AGAIN = {
    "model": "m",
    "startTime": "2000-01-01T00:00:00Z",
    "endTime": "2100-01-01T00:00:00Z",
}


def written(instant):
    return instant.isoformat()


def tell(database):
    ingest_predictions(database, 1, [Prediction(model="m", label="a")])


@pytest.fixture
def own(fresh_database_url):
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    tell(database)
    yield database
    database.dispose()


def predictions_at(client, **asked):
    answer = client.get("/api/v1/metrics/classification", query_string=ASKED_AGAIN | asked).json
    return answer["buckets"][0]["predictions"], answer["freshness"]["asOf"]


def test_what_is_stored_while_a_transaction_begins_is_counted_as_of_then(own):
    """The transaction begins, a row is stored, and the snapshot is taken after that."""
    client = create_app(Settings(auth=False), own).test_client()
    predictions_at(client)  # after which it knows the workspace
    other = Database.from_settings(Settings(database_url=own.engine.url.render_as_string(False)))
    began = []

    def store(conn):
        if not began:
            began.append(True)
            conn.exec_driver_sql("SET LOCAL application_name = 'begun'")  # takes no snapshot
            tell(other)

    event.listen(own.engine, "begin", store)
    try:
        counted, as_of = predictions_at(client)
    finally:
        event.remove(own.engine, "begin", store)
        other.dispose()
    assert began
    assert (counted, as_of) == predictions_at(client, asOf=as_of)
    assert counted == 2


def test_what_is_stored_while_an_answer_is_made_is_not_counted_as_of_then(own):
    """Rows are stored before each statement but the first, which takes the snapshot."""
    client = create_app(Settings(auth=False), own).test_client()
    predictions_at(client)  # after which it knows the workspace
    other = Database.from_settings(Settings(database_url=own.engine.url.render_as_string(False)))
    recorder = Storing(other)
    with recorder.watching(own.engine):
        counted, as_of = predictions_at(client)
    other.dispose()
    assert len(recorder.statements) > 2
    assert counted == 1
    assert (counted, as_of) == predictions_at(client, asOf=as_of)


class Storing(QueryRecorder):
    """Stores a row before each statement but the first."""

    def __init__(self, database):
        super().__init__()
        self.database = database

    def record(self, query):
        super().record(query)
        if len(self.statements) > 1:
            tell(self.database)


@pytest.mark.parametrize("days", [0, 1, 2, 40, 4000])
def test_what_was_read_was_learned_from_a_moment_until_a_later_one(own, days):
    refresh(own)
    client = create_app(Settings(auth=False), own).test_client()
    now = datetime.now(UTC)
    asked = {
        "model": "m",
        "startTime": written(now - HOUR),
        "endTime": written(now),
        "asOf": written(now - timedelta(days=days)),
        "explain": "true",
    }
    answer = client.get("/api/v1/metrics/classification", query_string=asked).json
    spans = [
        (datetime.fromisoformat(one["learnedFrom"]), datetime.fromisoformat(one["learnedUntil"]))
        for one in answer["explain"]
    ]
    assert all(start < end for start, end in spans)
    assert bool(spans) == (days < 40)
