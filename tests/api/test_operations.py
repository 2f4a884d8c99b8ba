"""What the service says of itself: health, metrics, request ids, logs."""

import logging
import re

import pytest

from app.config import Settings
from app.factory import create_app
from app.store.database import Database
from tests.api.given import SELDON, keyed_client, predict, prediction
from tests.servers import edition

LIST = f"{SELDON}/pipeline/subscriptions"
FIELDS = ["status", "database", "migrations", "edition", "postgres", "timescaledb"]
AWAY = "the database can't be reached"


@pytest.fixture
def open_app():
    """Make a service over the database of a URL; all are closed at the end."""
    databases = []

    def make(url):
        settings = Settings(database_url=url)
        databases.append(Database.from_settings(settings))
        return create_app(settings, databases[-1])

    yield make
    for database in databases:
        database.dispose()


@pytest.fixture
def orphan(open_app, tmp_path):
    """A client, with some key, of a service whose database is away."""
    return keyed_client(open_app(f"postgresql:///truthline?host={tmp_path}"), "tl_some-key")


# --- health ---------------------------------------------------------------------------------


def test_livez_needs_no_key_and_no_database(orphan):
    answer = orphan.get("/livez")

    assert (answer.status_code, answer.json) == (200, {"status": "alive"})


def test_readyz_tells_what_it_stands_on(app):
    answer = app.test_client().get("/readyz")

    assert answer.status_code == 200
    said = answer.json
    assert list(said) == FIELDS
    assert (said["status"], said["database"], said["edition"]) == ("ready", "ok", edition())
    assert said["migrations"]["current"] == said["migrations"]["head"]
    assert re.match(r"\d+\.\d+", said["postgres"])
    assert (said["timescaledb"] is None) == (edition() == "postgres")


def test_readyz_says_that_the_database_is_away(orphan):
    answer = orphan.get("/readyz")

    assert (answer.status_code, answer.json) == (503, {"status": "not ready", "database": AWAY})


def test_readyz_says_that_migrations_are_behind(open_app, empty_database_url):
    answer = open_app(empty_database_url()).test_client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json["status"] == "not ready"
    assert answer.json["database"] == "ok"
    assert answer.json["migrations"]["current"] is None
    assert answer.json["migrations"]["head"]


def test_ingest_without_a_database_is_unavailable(orphan):
    answer = predict(orphan, prediction(label="a"))

    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == "/problems/Unavailable"
    assert answer.json["detail"] == AWAY


def test_seldon_without_a_database_is_unavailable(orphan):
    answer = orphan.get(LIST)

    assert answer.status_code == 503
    assert answer.json == {"code": 14, "message": AWAY, "details": []}


# --- metrics --------------------------------------------------------------------------------


def sample(app, line):
    """The number behind a series of /metrics, 0 where there is none."""
    text = app.test_client().get("/metrics").text
    found = re.search(f"^{re.escape(line)} (.*)$", text, re.MULTILINE)
    return float(found[1]) if found else 0


def growth(app, line, call):
    """By how much a call lets a series of /metrics grow."""
    before = sample(app, line)
    call()
    return sample(app, line) - before


def test_requests_are_timed_by_route(app, client):
    labels = '{method="GET",route="/metrics-server/api/v1/pipeline/subscriptions",status="200"}'

    line = f"truthline_http_request_duration_seconds_count{labels}"
    assert growth(app, line, lambda: client.get(f"{LIST}?namespace=a")) == 1
    answer = app.test_client().get("/metrics")
    assert "truthline_http_request_duration_seconds_bucket{le=" in answer.text
    assert answer.content_type.startswith("text/plain")


def test_rows_are_counted_by_verdict(app, client):
    def ingest():
        predict(client, *[prediction(requestId="r", label="a")] * 3)

    line = 'truthline_ingested_rows_total{kind="predictions",verdict="duplicates"}'
    assert growth(app, line, ingest) == 2


def test_no_caller_makes_metrics_at_will(app):
    labels = '{method="(unknown)",route="(unknown)",status="405"}'

    def invent():
        app.test_client().open("/livez", method="INVENTED")

    line = f"truthline_http_request_duration_seconds_count{labels}"
    assert growth(app, line, invent) == 1
    app.test_client().get("/invented")
    assert "invented" not in app.test_client().get("/metrics").text.lower()


# --- request ids and logs -------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/livez", "/nowhere", LIST])
def test_a_request_id_is_echoed(app, path):
    answer = app.test_client().get(path, headers={"X-Request-ID": "a:1.b-2_c"})

    assert answer.headers["X-Request-ID"] == "a:1.b-2_c"


@pytest.mark.parametrize("given", [None, "", "two words", "x" * 129, "<b>"])
def test_a_request_id_is_made_where_none_of_use_is_given(app, given):
    answer = app.test_client().get("/livez", headers={"X-Request-ID": given} if given else {})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


def access_lines(caplog):
    return [r for r in caplog.records if r.name == "truthline.access"]


def test_a_log_line_tells_of_the_request_without_its_query(client, workspace, caplog):
    caplog.set_level(logging.INFO)

    client.get(f"{LIST}?namespace=secret")
    (line,) = access_lines(caplog)
    assert line.getMessage() == f"GET {LIST}"
    assert line.fields["status"] == 200
    assert line.fields["workspace"] == workspace.id
    assert "secret" not in str(line.__dict__)


def test_a_path_makes_one_log_line_whatever_it_holds(app, caplog):
    caplog.set_level(logging.INFO)

    app.test_client().get("/%0a12:00:00 info GET /forged")
    (line,) = access_lines(caplog)
    assert "\n" not in line.getMessage()
