"""What every connection is set to."""

import pytest
from sqlalchemy import create_engine, make_url, text

from app.config import Settings
from app.errors import Unavailable
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
            assert one.execute(text("SELECT 1")).scalar_one() == 1
            assert other.execute("SELECT 1").fetchone() == (1,)


def test_glances_see_each_what_was_committed_before(database_of_its_own):
    database = database_of_its_own
    names = "SELECT count(*) FROM workspace"
    add = text("INSERT INTO workspace (name) VALUES (:name)")
    with database.glancing() as conn:
        (before,) = conn.execute(names).fetchone()
        with database.writing() as writer:
            writer.execute(add, {"name": "another"})
            assert conn.execute(names).fetchone() == (before,)
        assert conn.execute(names).fetchone() == (before + 1,)


def test_a_transaction_after_a_glance_is_one(database_of_its_own):
    """The connection that goes back to the pool takes nothing along."""
    database = database_of_its_own
    which = "SELECT pg_backend_pid()"
    with database.glancing() as conn:
        (pid,) = conn.execute(which).fetchone()
    with database.writing() as conn:
        assert conn.exec_driver_sql(which).scalar_one() == pid
        conn.execute(text("INSERT INTO workspace (name) VALUES ('undone')"))
        conn.rollback()
    with database.glancing() as conn:
        found = conn.execute("SELECT count(*) FROM workspace WHERE name = 'undone'")
        assert found.fetchone() == (0,)


def test_a_glance_of_a_lost_connection_is_an_outage_and_the_next_has_another(
    database_of_its_own,
):
    database = database_of_its_own
    with pytest.raises(Unavailable, match="can't be reached"):
        _lose_in_a_glance(database)
    with database.glancing() as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def _lose_in_a_glance(database):
    with database.glancing() as conn, database.writing() as other:
        other.execute(END_OTHERS)
        conn.execute("SELECT 1")


def test_a_glance_that_ends_within_a_transaction_gives_no_connection_back(database_of_its_own):
    database = database_of_its_own
    pids = []
    with pytest.raises(KeyError):
        _begin_and_raise(database, pids)
    with database.writing() as conn:
        assert conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() not in pids


def _begin_and_raise(database, pids):
    with database.glancing() as conn:
        pids += conn.execute("SELECT pg_backend_pid()").fetchone()
        conn.execute("BEGIN")
        raise KeyError


def test_a_plan_of_an_old_schema_fails_once_and_is_remade(database_of_its_own, fresh_database_url):
    database, engine = database_of_its_own, create_engine(fresh_database_url)
    with database.writing() as conn:
        conn.exec_driver_sql("CREATE TABLE public.of_a_kind (id integer)")
        conn.exec_driver_sql("INSERT INTO public.of_a_kind VALUES (1)")
    with database.glancing() as conn:
        pid = _glance(conn)
    with engine.begin() as conn:  # as an upgrade does, from a second process
        conn.exec_driver_sql("ALTER TABLE public.of_a_kind ALTER id TYPE bigint")
    engine.dispose()
    with (
        pytest.raises(Unavailable, match="schema has changed"),
        database.glancing() as conn,
    ):
        _glance(conn)
    with database.glancing() as conn:
        assert _glance(conn) != pid


def _glance(conn):
    query = "SELECT id, pg_backend_pid() FROM public.of_a_kind"
    return conn.execute(query, prepare=True, binary=True).fetchone()[1]


def test_plans_outlive_readings_and_are_kept_only_when_asked_for(database_of_its_own):
    database = database_of_its_own
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%kept%'"
    with database.glancing() as conn:
        conn.execute("SELECT 1 AS kept", prepare=True)
    with database.reading() as conn:
        for _ in range(9):
            conn.exec_driver_sql("SELECT 2 AS kept").all()
    with database.glancing() as conn:
        assert conn.execute(prepared).fetchone() == (1,)
