"""What every connection is set to."""

from sqlalchemy import create_engine, make_url, text

from app.config import Settings
from app.store.database import Database

SHOWN = text("""
    SELECT current_setting('transaction_isolation'), current_setting('TimeZone'),
           current_setting('transaction_read_only')
""")


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
