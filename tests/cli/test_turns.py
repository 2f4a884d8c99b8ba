"""A lock lets one process at a time do the housekeeping; it is released when the process ends."""

import pytest

from app.config import Settings
from app.errors import Unavailable
from app.store.database import Database
from app.upkeep.housekeeping import leading


@pytest.fixture
def pair(fresh_database_url):
    """Two processes."""
    opened = [Database.from_settings(Settings(database_url=fresh_database_url)) for _ in range(2)]
    yield opened
    for database in opened:
        database.dispose()


def leads(database):
    with leading(database) as leader:
        return leader


def test_one_at_a_time_leads(pair):
    first, second = pair
    with leading(first) as leader:
        assert leader
        assert not leads(second)
    assert leads(second)


def test_the_lock_of_a_process_that_died_is_gone(pair):
    first, second = pair
    turn = leading(first)
    assert turn.__enter__()
    with second.outside_transactions() as conn:
        conn.exec_driver_sql(END_ALL_OTHERS)
    assert leads(second)
    with pytest.raises(Unavailable):  # and the first one learns of it
        turn.__exit__(None, None, None)


END_ALL_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND backend_type = 'client backend'
"""


def test_leading_holds_back_no_vacuum(pair):
    """The transaction has no id and no snapshot, and no timeout ends it while others work."""
    first, second = pair
    with leading(first), second.reading() as conn:
        held = conn.exec_driver_sql("""
            SELECT backend_xid, backend_xmin FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction'
              AND pid <> pg_backend_pid()
        """).one()
    assert tuple(held) == (None, None)
