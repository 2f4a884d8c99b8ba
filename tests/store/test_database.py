"""What every connection is set to."""

import pytest
from sqlalchemy import create_engine, make_url, text

from app.config import Settings
from app.store.database import Database

END_OTHERS = text("""
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend'
""")
SHOWN = text("""
    SELECT current_setting('transaction_isolation'), current_setting('TimeZone'),
           current_setting('transaction_read_only')
""")


@pytest.fixture
def database_of_its_own(fresh_database_url):
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    yield database
    database.dispose()


def test_writing_reads_what_others_committed_whatever_the_server_prefers(fresh_database_url):
    name = make_url(fresh_database_url).database
    engine = create_engine(fresh_database_url)
    with engine.begin() as conn:
        setting = f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'"
        conn.exec_driver_sql(setting)
    engine.dispose()
    database = Database.from_settings(Settings(database_url=fresh_database_url))

    with database.writing() as conn:
        assert tuple(conn.execute(SHOWN).one()) == ("read committed", "UTC", "off")
    with database.reading() as conn:
        assert tuple(conn.execute(SHOWN).one()) == ("repeatable read", "UTC", "on")
    database.dispose()


def test_connections_that_the_server_ended_are_replaced(fresh_database_url, database_of_its_own):
    database = database_of_its_own
    with database.reading() as one, database.writing() as other:
        for conn in (one, other):
            conn.execute(SHOWN)
    engine = create_engine(fresh_database_url)
    with engine.connect() as conn:
        assert conn.execute(END_OTHERS).scalar_one() == 2
    engine.dispose()

    for _ in range(3):
        with database.reading() as one, database.glancing() as other:
            for conn in (one, other):
                assert conn.execute(text("SELECT 1")).scalar_one() == 1


def test_glances_see_each_what_was_committed_before(database_of_its_own):
    database = database_of_its_own
    names = text("SELECT count(*) FROM workspace")
    add = text("INSERT INTO workspace (name) VALUES (:name)")
    with database.glancing() as conn:
        before = conn.execute(names).scalar_one()
        with database.writing() as writer:
            writer.execute(add, {"name": "another"})
            assert conn.execute(names).scalar_one() == before
        assert conn.execute(names).scalar_one() == before + 1


def test_a_transaction_after_a_glance_is_one(database_of_its_own):
    """The connection that goes back to the pool takes nothing along."""
    database = database_of_its_own
    which = text("SELECT pg_backend_pid()")
    with database.glancing() as conn:
        pid = conn.execute(which).scalar_one()
    with database.writing() as conn:
        assert conn.execute(which).scalar_one() == pid
        conn.execute(text("INSERT INTO workspace (name) VALUES ('undone')"))
        conn.rollback()
    with database.glancing() as conn:
        found = conn.execute(text("SELECT count(*) FROM workspace WHERE name = 'undone'"))
        assert found.scalar_one() == 0
