"""How alembic reaches the database: one transaction, one migrator at a time, bounded waits."""

from contextlib import suppress

from alembic import context
from sqlalchemy import Connection, create_engine, pool
from sqlalchemy.exc import IntegrityError, ProgrammingError

from migrations import rerunnable

# As alembic makes it; the first migrator does, for it is what migrators lock.
VERSION_TABLE = "public.alembic_version"
MAKE_VERSION_TABLE = f"""
    CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (
        version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
    )
"""


def prepare(connection: Connection) -> None:
    """Wait for other migrators, but never for long behind a busy table.

    The waits are bounded so that an upgrade at noon fails instead of queueing every writer
    behind its lock request.
    """
    connection.exec_driver_sql("SET LOCAL lock_timeout = '5min'")
    keep_others_out(connection)
    connection.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
    connection.exec_driver_sql("SET LOCAL statement_timeout = '30min'")
    connection.exec_driver_sql("SET LOCAL search_path = public")


def keep_others_out(connection: Connection) -> None:
    """Lock alembic's table, which takes privileges on it, so that one migration runs at a time."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(MAKE_VERSION_TABLE)
    except (ProgrammingError, IntegrityError):
        found = connection.exec_driver_sql(f"SELECT to_regclass('{VERSION_TABLE}')").scalar()
        if found is None:  # otherwise another process has just created it
            raise
    connection.exec_driver_sql(f"LOCK TABLE {VERSION_TABLE} IN SHARE ROW EXCLUSIVE MODE")


def install_extension(connection: Connection) -> None:
    """Install TimescaleDB where the server has it loaded; elsewhere tables stay plain.

    The database's owner may. For other roles, the operator creates it beforehand, as the images of
    TimescaleDB do; without it, tables stay plain too, which `db upgrade` and `status` point out.
    """
    loaded = connection.exec_driver_sql("SELECT current_setting('timescaledb.disable_load', true)")
    if loaded.scalar() is not None:
        with suppress(ProgrammingError), connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS timescaledb SCHEMA public")


def migrate(connection: Connection) -> None:
    """Run the pending revisions, then what each upgrade runs again, all or nothing."""
    context.configure(connection=connection, version_table_schema="public")
    with context.begin_transaction():
        prepare(connection)
        install_extension(connection)
        context.run_migrations()
        if context.get_context().get_current_revision() == context.script.get_current_head():
            rerunnable.refresh(connection)  # it is written for the newest tables


engine = create_engine(
    context.config.attributes["database_url"],
    poolclass=pool.NullPool,
    # prepared statements would outlive us in the session of a pooler
    connect_args={"connect_timeout": 10, "prepare_threshold": None},
)
with engine.connect() as connection:
    migrate(connection)
