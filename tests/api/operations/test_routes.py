"""The service's own health, metrics, request ids and logs."""

import logging
import re

import pytest
from sqlalchemy import NullPool, create_engine, make_url, text

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.config import Settings
from app.factory import create_app
from app.store.database import Database
from app.store.registry import Registry
from app.store.series import SeriesRegistry
from tests.api.given import SELDON, keyed_client, predict, prediction, tell, truth
from tests.servers import edition

LIST = f"{SELDON}/pipeline/subscriptions"
FIELDS = ["status", "database", "migrations", "edition", "postgres", "timescaledb"]
AWAY = "the database can't be reached: nothing listens at its address"


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


def test_readyz_reports_its_dependencies(app):
    answer = app.test_client().get("/readyz")

    assert answer.status_code == 200
    said = answer.json
    assert list(said) == FIELDS
    assert (said["status"], said["database"], said["edition"]) == ("ready", "ok", edition())
    assert said["migrations"]["current"] == said["migrations"]["head"]
    assert re.match(r"\d+\.\d+", said["postgres"])
    assert (said["timescaledb"] is None) == (edition() == "postgres")


def test_readyz_reports_an_unreachable_database(orphan):
    answer = orphan.get("/readyz")

    assert (answer.status_code, answer.json) == (503, {"status": "not ready", "database": AWAY})


def test_readyz_reports_missing_migrations(open_app, empty_database_url):
    answer = open_app(empty_database_url()).test_client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json["status"] == "not ready"
    assert answer.json["database"] == "ok"
    assert answer.json["migrations"]["current"] is None
    assert answer.json["migrations"]["head"]


def test_ingest_without_a_database_is_unavailable(orphan):
    assert unavailable(predict(orphan, prediction(label="a"))) == AWAY


def unavailable(answer):
    """Why the service is unavailable, from a problem+json with status 503."""
    assert answer.status_code == 503, answer.text
    assert answer.content_type == "application/problem+json"
    assert answer.json["type"] == "/problems#Unavailable"
    return answer.json["detail"]


def take_away(server, database_url):
    """Close all connections to a database, and accept no new ones."""
    name = make_url(database_url).database
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as conn:
        conn.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        conn.execute(_DISCONNECT, {"name": name})


_DISCONNECT = text(
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = :name"
)


@pytest.fixture
def own(open_app, fresh_database_url):
    """A service over a database of this test's own, and a client with an admin key to it."""
    app = open_app(fresh_database_url)
    with app.extensions["database"].writing() as conn:
        key = create_key(conn, find_or_create_workspace(conn, "own"), Role.ADMIN)
    return keyed_client(app, key)


@pytest.mark.parametrize(
    ("registry", "step"),
    [
        (Registry, "known_models"),
        (Registry, "register_models"),
        (SeriesRegistry, "register"),
        (Registry, "register_labels"),
    ],
)
def test_ingest_reports_a_database_lost_after_the_key_check(
    own, server, fresh_database_url, monkeypatch, registry, step
):
    original = getattr(registry, step)
    steps = []

    def without_database(*args):
        steps.append(step)
        take_away(server, fresh_database_url)
        return original(*args)

    monkeypatch.setattr(registry, step, without_database)
    reason = unavailable(predict(own, prediction(label="a")))
    assert reason == "the database can't be reached: it accepts no connections"
    assert steps == [step]


BEHIND = "the database's schema is not up to date: run 'truthline db upgrade'"


def test_ingest_on_an_empty_database_asks_for_migrations(open_app, empty_database_url):
    client = keyed_client(open_app(empty_database_url()), "tl_some-key")

    assert unavailable(predict(client, prediction(label="a"))) == BEHIND


@pytest.mark.parametrize("send", [predict, tell], ids=["predictions", "feedback"])
def test_ingest_where_migrations_are_behind_asks_for_them(own, fresh_database_url, send):
    """The key is known, and there are models, but nothing to store their rows in."""
    rename_raw_tables(fresh_database_url, "{}", "{}_of_later")

    row = prediction(label="a") if send is predict else truth("r", label="a")
    assert unavailable(send(own, row)) == BEHIND
    rename_raw_tables(fresh_database_url, "{}_of_later", "{}")
    assert send(own, row).status_code == 200


def rename_raw_tables(url, old, new):
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as conn:
        for table in ("prediction", "prediction_key"):
            rename = f"{old.format(table)} RENAME TO {new.format(table)}"
            conn.exec_driver_sql(f"ALTER TABLE truthline_data.{rename}")


def test_seldon_without_a_database_is_unavailable(orphan):
    answer = orphan.get(LIST)

    assert answer.status_code == 503
    assert answer.json == {"code": 14, "message": AWAY, "details": []}


# --- metrics --------------------------------------------------------------------------------


def sample(app, line):
    """The value of a series of /metrics, 0 if it is absent."""
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


TIMING = re.compile(r"database;dur=(\d+\.\d), total;dur=(\d+\.\d)")


def durations(answer):
    """Milliseconds of the database, and of the whole response."""
    return [float(text) for text in TIMING.fullmatch(answer.headers["Server-Timing"]).groups()]


def test_a_response_says_how_long_it_and_the_database_took(app, client):
    database, total = durations(client.get(LIST))

    assert 0 < database <= total
    assert durations(app.test_client().get("/livez"))[0] == 0  # nothing is left of earlier requests
    assert durations(app.test_client().get("/nowhere"))[0] == 0


def access_lines(caplog):
    return [r for r in caplog.records if r.name == "truthline.access"]


def test_a_log_line_describes_the_request_without_its_query(client, workspace, caplog):
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
