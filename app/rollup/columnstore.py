"""Columnstore: store older raw rows by column, if the edition can.

Rows of one series are stored together, ordered by event time: a partial cell reads a batch or two.
"""

from sqlalchemy import Connection, text

from app.config import Settings
from app.rollup.retention import RAW
from app.store.database import Database
from app.store.edition import Edition, server_info


def set_columnstore_policies(database: Database, settings: Settings) -> list[str]:
    """Apply the settings to the policies; returns the tables whose policy changed.

    Rows that are already in the columnstore stay there if the setting is removed. A change locks
    its table. Each is a transaction of its own: with the lock on one table, waiting for the other
    would deadlock with ingest, which writes to both.
    """
    with database.reading() as conn:
        if server_info(conn).edition is not Edition.COMMUNITY:
            return []
    changed = []
    for table in RAW:
        with database.writing() as conn:
            conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
            if _set_policy(conn, table, settings.columnstore_after_days):
                changed.append(table)
    return changed


def _set_policy(conn: Connection, table: str, days: int) -> bool:
    after = f"{days} days" if days else None
    row = conn.execute(_POLICY, {"table": table}).one_or_none()
    if (row and row.after) == after:
        return False
    relation = {"table": f"truthline_data.{table}"}
    if row:
        conn.execute(_REMOVE, relation)
    if after:
        enable_columnstore(conn, table)
        conn.execute(_ADD, relation | {"after": after})
    return True


def enable_columnstore(conn: Connection, table: str) -> None:
    """Configure how a raw table is stored by column; moves no rows."""
    conn.exec_driver_sql(_ENABLE.format(table=table))


_POLICY = text("""
    SELECT config ->> 'compress_after' AS after FROM _timescaledb_config.bgw_job AS job
    JOIN _timescaledb_catalog.hypertable AS h ON h.id = job.hypertable_id
    WHERE job.proc_name = 'policy_compression'
      AND h.schema_name = 'truthline_data' AND h.table_name = :table
""")
_ENABLE = """
    ALTER TABLE truthline_data.{table} SET (timescaledb.enable_columnstore,
        timescaledb.segmentby = 'series_id', timescaledb.orderby = 'time')
"""
_ADD = text("""
    CALL public.add_columnstore_policy(CAST(:table AS regclass), after => CAST(:after AS interval))
""")
_REMOVE = text("CALL public.remove_columnstore_policy(CAST(:table AS regclass))")
