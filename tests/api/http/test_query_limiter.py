"""A workspace with too many concurrent queries is asked to retry, in each dialect's form."""

import pytest

from app.config import Settings
from app.errors import Busy
from app.factory import create_app
from tests.api.given import MODEL
from tests.api.test_every_route import ask_all, members_of_refusals, path_of

WEEK = {"startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-08T00:00:00Z"}


@pytest.fixture
def app(shared_settings, database):
    """The service, with one question at a time for each workspace."""
    settings = Settings(
        database_url=shared_settings.database_url, max_questions=1, max_buckets_at_once=2000
    )
    return create_app(settings, database)


@pytest.fixture
def limiter(app, workspace):
    """The limiter, with one query running."""
    limiter = app.extensions["query_limiter"]
    limiter.start(workspace.id)
    return limiter


def test_every_read_is_rejected_while_queries_are_running(client, limiter, workspace):
    answers = ask_all(client, workspace)

    putting_off = {path: a for path, a in answers.items() if a.status_code == 429}
    assert answers.keys() == putting_off.keys()
    for path, answer in answers.items():
        assert answer.headers["Retry-After"] == "2"
        assert members_of_refusals(path_of(path)) <= answer.json.keys(), path


def test_a_question_ends_with_its_answer(client, app, workspace):
    for _ in range(3):
        assert client.get("/api/v1/models", query_string=WEEK).status_code == 200
        refused = client.get("/api/v1/models", query_string={"startTime": "x"})
        assert refused.status_code == 422
    app.extensions["query_limiter"].start(workspace.id)


def test_ingest_is_not_put_off(client, limiter):
    row = {"model": "m", "label": "a", "requestId": "r"}

    assert client.post("/api/v1/predictions", json={"predictions": [row]}).status_code == 200


def test_costly_questions_are_put_off_and_cheap_ones_are_not(client, app, workspace):
    limiter = app.extensions["query_limiter"]
    limiter._max_queries = 9
    limiter.start(workspace.id)
    limiter.add_buckets(workspace.id, 1500)

    costly = client.get(
        "/api/v1/metrics/classification", query_string=MODEL | WEEK | {"interval": "10m"}
    )
    cheap = client.get(
        "/api/v1/metrics/classification", query_string=MODEL | WEEK | {"interval": "1h"}
    )

    assert (costly.status_code, cheap.status_code) == (429, 404)
    with pytest.raises(Busy):
        limiter.add_buckets(workspace.id, 501)
