"""An answer is of the moment that it names: asked again as of it, it is the same."""

from datetime import UTC, datetime, timedelta

import pytest

from app.config import Settings
from app.factory import create_app
from app.ingest.predictions import Prediction, ingest_predictions
from app.rollup.refresh import refresh
from app.store.database import Database

HOUR = timedelta(hours=1)
read = datetime.fromisoformat


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
