"""Migrations run up, down and up again, and the code's mirror of the tables is true."""

import os
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, inspect, text

from app.config import Settings
from app.store.database import Database
from app.store.migration import downgrade, schema_version, upgrade
from app.store.tables import metadata
from tests.servers import edition

ALL_COLUMNS = text("""
    SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default
    FROM information_schema.columns
    WHERE table_schema IN ('truthline', 'truthline_data') ORDER BY 1, 2, 3
""")
ALL_FUNCTIONS = text("""
    SELECT proname, pg_get_function_identity_arguments(p.oid), obj_description(p.oid, 'pg_proc')
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname = 'truthline' ORDER BY 1, 2
""")
ALL_CONSTRAINTS = text("""
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'truthline_data'::regnamespace AND contype <> 'n' ORDER BY 1, 2
""")


@pytest.fixture
def query(fresh_database_url):
    """Run a statement on this test's own database."""
    engine = create_engine(fresh_database_url)

    def run(statement):
        with engine.connect() as conn:
            return conn.execute(statement).all()

    yield run
    engine.dispose()


def snapshot(query):
    return query(ALL_COLUMNS), query(ALL_FUNCTIONS), query(ALL_CONSTRAINTS)


def test_up_down_up_gives_the_same_schema(fresh_database_url, query):
    before = snapshot(query)

    downgrade(fresh_database_url, "base")
    assert query(ALL_COLUMNS) == []
    upgrade(fresh_database_url)

    assert snapshot(query) == before
    assert len(before[0]) > 50


def test_each_step_down_can_go_up_again(fresh_database_url, query):
    before = snapshot(query)

    for revision in ("0004", "0002", "0001"):
        downgrade(fresh_database_url, revision)
        upgrade(fresh_database_url)
        assert snapshot(query) == before


def test_a_step_down_keeps_rows(fresh_database_url, query):
    insert = text("""
        WITH m AS (INSERT INTO truthline_data.model (workspace_id, namespace, pipeline, name)
                   VALUES (1, '', '', 'm') RETURNING id),
             s AS (INSERT INTO truthline_data.series
                       (model_id, deployment, version, deployment_type, server_version)
                   SELECT id, '', '', '', '' FROM m RETURNING id)
        INSERT INTO truthline_data.outcome (time, series_id, predicted_label, actual_label,
                                            batch_index)
        SELECT now(), id, 1, 1, 0 FROM s
    """)
    engine = create_engine(fresh_database_url)
    with engine.begin() as conn:
        # the series must be there before the foreign key looks for it
        conn.execute(text("SET CONSTRAINTS ALL DEFERRED"))
        conn.execute(insert)
    engine.dispose()

    downgrade(fresh_database_url, "0002")
    upgrade(fresh_database_url)

    assert query(text("SELECT count(*) FROM truthline_data.outcome")) == [(1,)]


def test_a_step_down_keeps_keys_and_revokes_those_that_have_expired(fresh_database_url, query):
    insert = text("""
        INSERT INTO truthline_data.api_key (workspace_id, role, digest, name, expires_at) VALUES
            (1, 'read', 'a', 'lasting', NULL),
            (1, 'read', 'b', 'expired', now() - interval '1 day'),
            (1, 'read', 'c', 'expiring', now() + interval '1 day')
    """)
    engine = create_engine(fresh_database_url)
    with engine.begin() as conn:
        conn.execute(insert)
    engine.dispose()

    downgrade(fresh_database_url, "0004")
    kept = "SELECT digest, revoked_at IS NULL FROM truthline_data.api_key ORDER BY digest"
    assert query(text(kept)) == [(b"a", True), (b"b", False), (b"c", True)]
    upgrade(fresh_database_url)
    assert query(text(kept)) == [(b"a", True), (b"b", False), (b"c", True)]


def test_older_code_still_makes_keys(fresh_database_url, query):
    """It names the columns it knows; the new ones have defaults."""
    engine = create_engine(fresh_database_url)
    insert = (
        "INSERT INTO truthline_data.api_key (workspace_id, role, digest) VALUES (1, 'read', 'a')"
    )
    with engine.begin() as conn:
        conn.execute(text(insert))
    engine.dispose()

    listed = text("SELECT name, prefix, expires_at, last_used_on FROM truthline_data.api_key")
    assert query(listed) == [("", None, None, None)]


def test_concurrent_upgrades_wait_for_each_other(empty_database_url):
    url = empty_database_url()
    command = [sys.executable, "-m", "app.cli", "db", "upgrade"]
    environment = os.environ | {"TRUTHLINE_DATABASE_URL": url}

    migrators = [subprocess.Popen(command, env=environment) for _ in range(4)]

    assert [migrator.wait(60) for migrator in migrators] == [0, 0, 0, 0]
    engine = create_engine(url)
    with engine.connect() as conn:
        assert schema_version(conn).at_head
    engine.dispose()


def test_an_empty_database_is_not_at_head(empty_database_url):
    engine = create_engine(empty_database_url())
    with engine.connect() as conn:
        version = schema_version(conn)
    engine.dispose()

    assert (version.current, version.at_head) == (None, False)


def test_raw_tables_are_hypertables_where_timescaledb_is(fresh_database_url, query):
    if edition() == "postgres":
        assert query(text("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")) == []
        return
    dimensions = query(  # without those that TimescaleDB keeps levels in
        text("""
            SELECT hypertable_name, column_name FROM timescaledb_information.dimensions
            WHERE hypertable_schema = 'truthline_data'
        """)
    )

    hypertables = ("outcome", "prediction", "step_batch")
    assert sorted(dimensions) == [(name, "received_at") for name in hypertables]


def test_the_mirror_of_the_tables_is_true(fresh_database_url):
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    dialect = database.engine.dialect
    for table in metadata.sorted_tables:
        columns = inspect(database.engine).get_columns(table.name, schema=table.schema)
        assert {column["name"]: column["type"].compile(dialect) for column in columns} == {
            column.name: column.type.compile(dialect) for column in table.columns
        }
    database.dispose()


def test_a_function_that_returns_something_else_is_replaced(fresh_database_url, query):
    older = text("""
        DROP FUNCTION truthline.regression_metrics(
            integer[], timestamptz, timestamptz, interval, timestamptz, text, timestamptz);
        CREATE FUNCTION truthline.regression_metrics(
            series integer[], start_time timestamptz, end_time timestamptz,
            width interval DEFAULT NULL, origin timestamptz DEFAULT NULL
        ) RETURNS TABLE (n bigint) LANGUAGE sql AS 'SELECT 1::bigint';
        COMMENT ON SCHEMA truthline IS 'an older version';
    """)
    before = query(ALL_FUNCTIONS)
    engine = create_engine(fresh_database_url)
    with engine.begin() as conn:
        conn.execute(older)
        assert not schema_version(conn).at_head
    engine.dispose()

    upgrade(fresh_database_url)

    assert query(ALL_FUNCTIONS) == before


def test_every_public_view_and_column_says_what_it_is(query):
    silent = text("""
        SELECT c.relname, a.attname FROM pg_class AS c
        LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = 'truthline'::regnamespace AND c.relkind = 'v'
          AND num_nulls(obj_description(c.oid, 'pg_class'), col_description(c.oid, a.attnum)) > 0
    """)
    assert query(silent) == []


def test_every_public_function_says_what_it_is(query):
    functions = query(ALL_FUNCTIONS)

    assert len(functions) >= 5
    assert [name for name, _, comment in functions if not comment] == []
