"""Why a database can't be reached: in words for everyone, and as the driver said it for the log."""

import socket

import pytest
from sqlalchemy import create_engine, make_url

from app.config import Settings
from app.errors import Unavailable
from app.store.database import Database
from app.store.migration import MigrationFailed, upgrade
from app.store.reasons import in_words
from app.store.urls import sqlalchemy_url
from tests.servers import free_port

SECRET = "s3cret-word"


def why(url):
    """The error of a database at this URL, and its reason."""
    database = Database.from_settings(Settings(database_url=url))
    with pytest.raises(Unavailable) as caught, database.reading():
        pass
    database.dispose()
    with pytest.raises(Unavailable) as of_upgrade:
        upgrade(url)
    assert str(of_upgrade.value) == str(caught.value)
    assert SECRET not in f"{caught.value} {caught.value.reason} {of_upgrade.value.reason}"
    words = str(caught.value).removeprefix("the database can't be reached: ")
    return words, caught.value.reason


def test_nothing_listens():
    words, reason = why(f"postgresql://nobody:{SECRET}@127.0.0.1:{free_port()}/nothing")
    assert words == "nothing listens at its address"
    assert "refused" in reason


def test_a_socket_that_is_not_there(tmp_path):
    assert why(f"postgresql:///nothing?host={tmp_path}")[0] == "nothing listens at its address"


def test_an_unknown_host():
    words, reason = why(f"postgresql://nobody:{SECRET}@no-such-host.invalid/nothing")
    assert words == "its host name is unknown"
    assert "no-such-host.invalid" in reason


def test_an_unknown_database(server):
    url = make_url(server).set(database="no_such_database")
    words, reason = why(url.render_as_string(hide_password=False))
    assert words == "there is no such database"
    assert '"no_such_database"' in reason


def test_an_unknown_role(server):
    url = make_url(server).set(username="no_such_role")
    assert why(url.render_as_string(hide_password=False))[0] == "there is no such role"


def test_an_unknown_parameter(server):
    url = make_url(server).update_query_dict({"schema": "public"})
    words, reason = why(url.render_as_string(hide_password=False))
    assert words == "its URL has an invalid parameter"
    assert "schema" in reason


def test_tls_that_the_server_lacks(pooled_server):
    url = pooled_server.set(database="x").update_query_dict({"sslmode": "require"})
    assert why(url.render_as_string(hide_password=False))[0] == "TLS can't be established"


def test_a_pooler_that_admits_no_options(pooled_server, shared_settings):
    name = make_url(shared_settings.database_url).database
    url = pooled_server.set(database=name).update_query_dict({"options": "-c jit=off"})
    words, _ = why(url.render_as_string(hide_password=False))
    assert words == "a pooler rejects the options in its URL"


def test_a_server_that_says_nothing(monkeypatch):
    monkeypatch.setattr("app.store.database.NETWORK_TIMEOUTS", {"connect_timeout": 2})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://nobody:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/nothing"
        database = Database.from_settings(Settings(database_url=url))
        with pytest.raises(Unavailable, match="it does not respond"), database.reading():
            pass
        database.dispose()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("ALTER DATABASE {} CONNECTION LIMIT 0", "it has no free connection"),
        ("REVOKE CONNECT ON DATABASE {} FROM PUBLIC", "the role lacks the privilege CONNECT"),
    ],
)
def test_a_database_that_admits_no_more(empty_database_url, server, plain_role, statement, words):
    url = make_url(empty_database_url())
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.exec_driver_sql(statement.format(url.database))
    engine.dispose()

    found, _ = why(url.set(username=plain_role).render_as_string(hide_password=False))
    assert found == words


@pytest.fixture
def plain_role(server):
    """A role without privileges."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.exec_driver_sql("CREATE ROLE plain_of_reasons LOGIN")
        yield "plain_of_reasons"
        conn.exec_driver_sql("DROP OWNED BY plain_of_reasons")
        conn.exec_driver_sql("DROP ROLE plain_of_reasons")
    engine.dispose()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('FATAL:  password authentication failed for user "ssl"', "its password is rejected"),
        ("fe_sendauth: no password supplied", "its password is rejected"),
        (
            'FATAL: no pg_hba.conf entry for host "10.0.0.1", user "x", database "y", SSL off',
            "it does not admit this client (pg_hba.conf)",
        ),
        ("FATAL:  sorry, too many clients already", "it has no free connection"),
        ("FATAL:  the database system is starting up", "it is starting or shutting down"),
        ("SSL error: certificate verify failed", "TLS can't be established"),
        ("server closed the connection unexpectedly", "the connection was lost"),
        ("SSL SYSCALL error: EOF detected", "the connection was lost"),
        ("FATAL:  die Datenbank »x« existiert nicht", ""),
    ],
)
def test_what_servers_say(said, words):
    assert in_words(said) == words


# --- URLs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scheme",
    ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgres+psycopg2"],
)
def test_every_name_of_postgresql_is_taken(scheme):
    url = sqlalchemy_url(f" {scheme}://u:p%40ss@h:5433/d?sslmode=require\n")

    assert url.drivername == "postgresql+psycopg"
    assert (url.password, url.port, dict(url.query)) == ("p@ss", 5433, {"sslmode": "require"})


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:///x.db", "needs PostgreSQL, not sqlite"),
        (f"mysql+pymysql://u:{SECRET}@h/d", "needs PostgreSQL, not mysql"),
        (f"postgresql+asyncpg://u:{SECRET}@h/d", "the driver asyncpg is not used here"),
        (f"jdbc:postgresql://h/d?password={SECRET}", "JDBC"),
        (f"host=h dbname=d password={SECRET}", "list of parameters"),
        (f"postgresql://u:p@{SECRET}@h/d", "%40"),
        (f"postgresql://u:{SECRET}@h:port/d", "percent-encoded"),
        ("truthline.db", "must be like postgresql://"),
    ],
)
def test_other_urls_are_refused_in_words(url, words):
    with pytest.raises(ValueError, match=words) as caught:
        sqlalchemy_url(url)
    assert SECRET not in str(caught.value)


# --- upgrades ---------------------------------------------------------------------------------


def test_an_upgrade_without_privileges_says_so(empty_database_url, plain_role):
    url = make_url(empty_database_url()).set(username=plain_role)
    with pytest.raises(MigrationFailed, match="lacks a privilege; nothing was changed") as caught:
        upgrade(url.render_as_string(hide_password=False))
    assert "permission denied" in caught.value.reason


def test_an_upgrade_from_a_newer_schema_says_so(fresh_database_url):
    engine = create_engine(fresh_database_url)
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE public.alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(MigrationFailed, match="a newer program has migrated this database"):
        upgrade(fresh_database_url)
