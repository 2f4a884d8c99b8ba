"""Who may do what in the database of the compose file."""

import base64
import hashlib
import hmac
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.deploy.compose import PASSWORD

CLOSED = ["api_key", "signing_secret", "refresh_family", "refresh_token"]
CLOSED += ["ingest_batch", "pending_feedback", "prediction_key", "analyst"]
CLOSED += ["event_key", "event_family", "event_pair", "event_lookup"]
CLOSED += ["request_lock", "upkeep_lock"]
WINDOW = "now() - INTERVAL '3 days', now(), '7 hours'"
EDGES = f"truthline_internal.edges({WINDOW})"
OF_SERIES = ["classification_metrics", "regression_metrics", "outcome_cells", "error_cells"]
OF_SERIES += ["prediction_cells", "score_cells", "latency_cells"]
CALLS = {
    "buckets": f"buckets({WINDOW})",
    "event_metrics": "event_metrics(1)",
    "levels": "levels()",
    "clean_until": "clean_until('outcome_1h_1h')",
    "explain": f"explain('outcome', ARRAY[1], {EDGES})",
    **{name: f"{name}(ARRAY[1], {EDGES})" for name in OF_SERIES},
}
LEVELS = "SELECT name FROM truthline_data.level"
# Tables and views that a function names, and that the reader can't read. Those that run with the
# rights of their owner read what they like, and procedures are the owner's.
NAMED_BUT_CLOSED = """
    SELECT function.oid::regprocedure, relation.oid::regclass
    FROM pg_proc AS function, pg_class AS relation
    WHERE function.pronamespace IN ('truthline'::regnamespace, 'truthline_internal'::regnamespace)
      AND function.prokind = 'f' AND NOT function.prosecdef
      AND relation.relnamespace = 'truthline_data'::regnamespace
      AND relation.relkind IN ('r', 'p', 'v', 'm')
      AND function.prosrc ~ ('truthline_data\\.' || relation.relname || '\\M')
      AND NOT has_table_privilege('grafana_reader', relation.oid, 'SELECT')
"""


@pytest.fixture
def superuser(deployed) -> Iterator[psycopg.Connection]:
    with psycopg.connect(deployed.conninfo(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def reader(deployed) -> Iterator[psycopg.Connection]:
    login = deployed.conninfo(user="grafana_reader", password=PASSWORD)
    with psycopg.connect(login, autocommit=True) as connection:
        yield connection


def accepts(secret: str, password: str) -> bool:
    """Whether a SCRAM secret, as PostgreSQL keeps it, was made of that password."""
    _, parameters, keys = secret.split("$")
    iterations, salt = parameters.split(":")
    salted = hashlib.pbkdf2_hmac(
        "sha256", password.encode(), base64.b64decode(salt), int(iterations)
    )
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    return stored_key == keys.split(":")[0]


@pytest.mark.parametrize("call", CALLS)
def test_the_reader_may_ask_for_metrics(reader: psycopg.Connection, call: str) -> None:
    reader.execute(f"SELECT * FROM truthline_internal.{CALLS[call]}")


def test_the_reader_may_read_every_level(reader: psycopg.Connection) -> None:
    levels = [name for (name,) in reader.execute(LEVELS)]
    assert len(levels) > 10
    for name in levels:
        reader.execute(f"SELECT * FROM truthline_data.{name}")


def test_the_reader_may_read_what_functions_read(superuser: psycopg.Connection) -> None:
    assert superuser.execute(NAMED_BUT_CLOSED).fetchall() == []


@pytest.mark.parametrize("view", ["predictions", "outcomes", "series", "step_values"])
def test_the_reader_may_read_views(reader: psycopg.Connection, view: str) -> None:
    reader.execute(f"SELECT * FROM truthline.{view}")


def test_the_reader_sees_every_workspace(
    reader: psycopg.Connection, superuser: psycopg.Connection
) -> None:
    superuser.execute("INSERT INTO truthline_data.workspace (name) VALUES ('another')")
    found = reader.execute("SELECT workspace FROM truthline.workspaces").fetchall()
    assert {("default",), ("another",)} <= set(found)


def test_the_owner_admits_an_analyst_to_one_workspace(
    deployed, superuser: psycopg.Connection
) -> None:
    superuser.execute("CREATE ROLE visitor LOGIN PASSWORD 'visit'")
    owner = deployed.conninfo(user="truthline_owner", password=PASSWORD)
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("CALL truthline.admit('visitor', 'default')")
    with psycopg.connect(deployed.conninfo(user="visitor", password="visit")) as visitor:
        assert visitor.execute("SELECT workspace FROM truthline.workspaces").fetchall() == [
            ("default",)
        ]
    superuser.execute("DROP OWNED BY visitor; DROP ROLE visitor")


@pytest.mark.parametrize("table", CLOSED)
def test_the_reader_may_not_see_keys(reader: psycopg.Connection, table: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        reader.execute(f"SELECT FROM truthline_data.{table}")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO truthline_data.workspace (name) VALUES ('mine')",
        "UPDATE truthline_data.model SET name = 'mine'",
        "DELETE FROM truthline_data.outcome",
        "TRUNCATE truthline_data.prediction",
        "CREATE TABLE public.mine ()",
        "CREATE TABLE truthline.mine ()",
        "CREATE TEMPORARY TABLE mine ()",
    ],
)
def test_the_reader_may_not_write(reader: psycopg.Connection, statement: str) -> None:
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(InsufficientPrivilege):
        reader.execute(statement)


def test_the_reader_is_read_only_by_default(reader: psycopg.Connection) -> None:
    assert reader.execute("SHOW transaction_read_only").fetchone() == ("on",)


@pytest.mark.parametrize("role", ["truthline_owner", "grafana_reader"])
def test_passwords_arrive_as_they_are_written(superuser: psycopg.Connection, role: str) -> None:
    found = superuser.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [role])
    assert accepts(found.fetchone()[0], PASSWORD)


@pytest.mark.parametrize("role", ["truthline_owner", "truthline_reader", "grafana_reader"])
def test_no_role_may_more_than_it_needs(superuser: psycopg.Connection, role: str) -> None:
    found = superuser.execute(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
        " FROM pg_roles WHERE rolname = %s",
        [role],
    )
    assert found.fetchone() == (False,)


@pytest.mark.parametrize("privilege", ["CONNECT", "TEMPORARY", "CREATE"])
def test_strangers_may_not_even_connect(superuser: psycopg.Connection, privilege: str) -> None:
    found = superuser.execute(
        "SELECT has_database_privilege('public', current_database(), %s)", [privilege]
    )
    assert found.fetchone() == (False,)


def test_migrating_and_granting_again_changes_nothing(deployed) -> None:
    for step in (deployed.migrate, deployed.grants):
        again = step()
        assert again.returncode == 0, again.stderr
